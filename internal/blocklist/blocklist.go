// Package blocklist knows the passwords that are tried first.
package blocklist

import (
	"bytes"
	_ "embed"
)

//go:generate go run ./gen $PASSWORDS common.tab

// table is what gen makes of a ranked list (see LICENSE-common-passwords): the
// number of blocks in two bytes, the offset of each in three, and the blocks. A
// block is up to 16 passwords in order, each written as the number of bytes that
// it shares with the one before, and the rest, whose last byte has its high bit
// set. All are ASCII.
//
//go:embed common.tab
var table string

const (
	// MinLen and MaxLen are the lengths of the shortest and the longest entry, in
	// bytes. What is shorter than 8 is no password that any policy here allows, but
	// with some digits behind it, it may be.
	MinLen, MaxLen = 4, 20
)

// Contains reports whether password, all of it, is among the 49,193 on the list,
// 17,950 of which have 8 characters or more (OWASP ASVS 5.0 section 6.2.4 asks for
// 3,000). It is exact: no other password is taken for one of them. Case does not
// count: whoever tries "sunshine" tries "Sunshine" next. SP 800-63B-4 section
// 3.1.1.2 has entire passwords compared, so one that merely holds an entry is not
// on the list.
//
// The table takes 189,495 bytes of the binary, and none of the heap: it is searched
// where it lies, in less than a microsecond.
func Contains(password string) bool {
	if len(password) < MinLen || len(password) > MaxLen {
		return false
	}
	var folded [MaxLen]byte
	for i := range len(password) {
		c := password[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		folded[i] = c
	}
	p := folded[:len(password)]
	// The last block that does not begin behind password holds it, or none does.
	low, high := 0, int(table[0])<<8|int(table[1])
	for low < high {
		if middle := (low + high) / 2; beginsAfter(middle, p) {
			high = middle
		} else {
			low = middle + 1
		}
	}
	if low == 0 {
		return false
	}
	end := len(table)
	if low < int(table[0])<<8|int(table[1]) {
		end = offset(low)
	}
	var entry [MaxLen]byte
	for at := offset(low - 1); at < end; {
		n := int(table[at])
		for at++; ; at++ {
			c := table[at]
			entry[n] = c &^ 0x80
			n++
			if c >= 0x80 {
				at++
				break
			}
		}
		if bytes.Equal(entry[:n], p) {
			return true
		}
	}
	return false
}

// offset returns where a block begins.
func offset(block int) int {
	i := 2 + 3*block
	return int(table[i])<<16 | int(table[i+1])<<8 | int(table[i+2])
}

// beginsAfter reports whether the first entry of a block comes after password.
func beginsAfter(block int, password []byte) bool {
	at := offset(block) + 1 // the first shares nothing
	for i := 0; ; i++ {
		c := table[at+i]
		switch letter := c &^ 0x80; {
		case i == len(password) || letter > password[i]:
			return true
		case letter < password[i] || c >= 0x80:
			return false
		}
	}
}
