// Command gen writes the table that package blocklist embeds. It reads a JSON
// array of passwords, the commonest first, which is not kept here: see
// LICENSE-common-passwords for where it comes from.
//
//	PASSWORDS=…/package/src/passwords.json go generate ./internal/blocklist
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"os"
	"slices"
	"strings"

	"github.com/seed-1320b244/mfa/internal/blocklist"
)

// blockLen is how many entries of a block are read to find one. Shorter blocks
// make a larger table.
const blockLen = 16

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: gen passwords.json common.tab")
	}
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	var ranked []string
	if err := json.Unmarshal(text, &ranked); err != nil {
		log.Fatal(err)
	}
	entries := choose(ranked)
	table, err := encode(entries)
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(os.Args[2], table, 0o644); err != nil {
		log.Fatal(err)
	}
	long := 0
	for _, e := range entries {
		if len(e) >= 8 {
			long++
		}
	}
	fmt.Printf("%d passwords, %d of 8 characters or more, in %d bytes\n", len(entries), long, len(table))
}

// choose returns what goes into the table: in lower case, in order, once each.
func choose(ranked []string) []string {
	var entries []string
	for _, e := range ranked {
		e = strings.ToLower(e)
		if len(e) < blocklist.MinLen || len(e) > blocklist.MaxLen || strings.ContainsFunc(e, func(r rune) bool { return r <= ' ' || r > '~' }) {
			continue
		}
		entries = append(entries, e)
	}
	slices.Sort(entries)
	return slices.Compact(entries)
}

func encode(entries []string) ([]byte, error) {
	blocks := slices.Collect(slices.Chunk(entries, blockLen))
	if len(blocks) > 0xffff {
		return nil, fmt.Errorf("%d blocks do not fit", len(blocks))
	}
	head := 2 + 3*len(blocks)
	table := []byte{byte(len(blocks) >> 8), byte(len(blocks))}
	var body []byte
	for _, b := range blocks {
		at := head + len(body)
		if at > 0xffffff {
			return nil, fmt.Errorf("%d entries do not fit", len(entries))
		}
		table = append(table, byte(at>>16), byte(at>>8), byte(at))
		before := ""
		for _, e := range b {
			shared := 0
			for shared < len(before) && before[shared] == e[shared] {
				shared++
			}
			body = append(body, byte(shared))
			body = append(body, e[shared:]...)
			body[len(body)-1] |= 0x80
			before = e
		}
	}
	return append(table, body...), nil
}
