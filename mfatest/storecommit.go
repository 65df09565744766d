package mfatest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-1320b244/mfa"
)

// refusalCases are about commits that no state of the store makes right.
func refusalCases() []storeCase {
	const rule = " is refused with an error that is not ErrConflict, and nothing is applied"
	return []storeCase{{
		name:        "writes-most",
		explanation: "a Commit of 64 writes is accepted, and all of them are applied",
		run:         writesMost,
	}, {
		name:        "refuse-many",
		explanation: "a Commit of 65 writes" + rule,
		run: func(s *storeTest) {
			r := s.sixtyFour()
			extra := newRecord(s.key("extra", ""))
			s.refuses("65 writes", append(r.writes, create(extra))...)
			s.absent(append(r.keys, extra.Key)...)
		},
	}, {
		name:        "refuse-none",
		explanation: "a Commit of no writes" + rule,
		run:         func(s *storeTest) { s.refuses("no writes") },
	}, {
		name:        "refuse-owners",
		explanation: "a Commit of writes of several owners" + rule,
		run: func(s *storeTest) {
			a, b := newRecord(s.key("k", "")), newRecord(ownerKey(newOwner()))
			s.refuses("two owners", create(a), create(b))
			s.absent(a.Key, b.Key)
			s.create(a.Key)
			s.refuses("two owners, one of them with a condition that does not hold", create(b), create(newRecord(a.Key)))
			s.absent(b.Key)
		},
	}, {
		name:        "refuse-twice",
		explanation: "a Commit with the same key twice" + rule,
		run:         refuseTwice,
	}, {
		name:        "refuse-delete",
		explanation: "deleting with IfVersion \"\", a record that must not exist," + rule,
		run:         refuseDelete,
	}, {
		name:        "refuse-malformed",
		explanation: "a write with a malformed key, without a version or with more than 64 KiB" + rule + " (mfa.CheckWrites says which)",
		run:         refuseMalformed,
	}}
}

// batch is what fills a Commit.
type batch struct {
	records []mfa.Record
	writes  []mfa.Write
	keys    []mfa.Key
}

func (s *storeTest) sixtyFour() batch {
	var b batch
	for i := range 64 {
		r := newRecord(s.key("k", fmt.Sprint(i)))
		b.records, b.writes, b.keys = append(b.records, r), append(b.writes, create(r)), append(b.keys, r.Key)
	}
	return b
}

func refuseMalformed(s *storeTest) {
	good := newRecord(s.key("good", ""))
	for _, bad := range []struct {
		what string
		edit func(r *mfa.Record)
	}{
		{"an owner of 257 bytes", func(r *mfa.Record) { r.Owner = strings.Repeat("o", 257) }},
		{"no owner", func(r *mfa.Record) { r.Owner = "" }},
		{"a control character in the owner", func(r *mfa.Record) { r.Owner += "\n" }},
		{"a zero byte in the owner", func(r *mfa.Record) { r.Owner += "\x00" }},
		{"an owner that is not UTF-8", func(r *mfa.Record) { r.Owner += "\xff" }},
		{"no kind", func(r *mfa.Record) { r.Kind = "" }},
		{"an upper-case kind", func(r *mfa.Record) { r.Kind = "K" }},
		{"a kind of 33 bytes", func(r *mfa.Record) { r.Kind = strings.Repeat("k", 33) }},
		{"an id of 65 bytes", func(r *mfa.Record) { r.ID = strings.Repeat("i", 65) }},
		{"a slash in the id", func(r *mfa.Record) { r.ID = "a/b" }},
		{"no version", func(r *mfa.Record) { r.Version = "" }},
		{"data of 64 KiB and a byte", func(r *mfa.Record) { r.Data = bytes.Repeat([]byte{1}, 64<<10+1) }},
	} {
		r := newRecord(s.key("k", "bad"))
		bad.edit(&r)
		s.refuses(bad.what, create(r))
		if r.Owner == good.Owner {
			s.refuses(bad.what, create(good), create(r))
			s.absent(good.Key)
		}
	}
}

// conditionCases are about commits whose conditions hold, or do not.
func conditionCases() []storeCase {
	return []storeCase{{
		name:        "create-existing",
		explanation: "a write with IfVersion \"\" on a record that exists is ErrConflict, even when it is the record that is there",
		run: func(s *storeTest) {
			r := s.create(s.key("k", ""))[0]
			s.conflicts("creating a record that exists", create(newRecord(r.Key)))
			s.conflicts("creating a record a second time", create(r))
			s.holds(r)
		},
	}, {
		name:        "replace",
		explanation: "a replaced record has the new version, expiry and data, and nothing of the old",
		run:         replaceWhole,
	}, {
		name:        "replace-version",
		explanation: "a replace with another version than the record has is ErrConflict, even when it was applied before",
		run:         replaceVersion,
	}, {
		name:        "replace-absent",
		explanation: "a replace of a record that never was is ErrConflict, and creates nothing",
		run: func(s *storeTest) {
			r := newRecord(s.key("k", ""))
			s.conflicts("replacing an absent record", replace(r, newRecord(r.Key).Version))
			s.conflicts("replacing an absent record by the version it would get", replace(r, r.Version))
			s.absent(r.Key)
			s.create(s.key("other", ""))
			s.conflicts("replacing an absent record of an owner who has others", replace(r, "v"))
			s.absent(r.Key)
		},
	}, {
		name:        "all-or-nothing",
		explanation: "a Commit of which one condition does not hold applies nothing, wherever that write stands",
		run:         allOrNothing,
	}, {
		name:        "mixed",
		explanation: "one Commit may create, replace and delete, and applies all of it",
		run: func(s *storeTest) {
			r := s.create(s.key("k", "replaced"), s.key("k", "deleted"), s.key("k", "untouched"))
			created, replaced := newRecord(s.key("k", "created")), newRecord(r[0].Key)
			s.commit(create(created), replace(replaced, r[0].Version), remove(r[1]))
			s.holds(created, replaced, r[2])
			s.absent(r[1].Key)
			s.lists([]mfa.Record{created, replaced, r[2]}, s.owner, "k")
		},
	}}
}

func allOrNothing(s *storeTest) {
	r := s.create(s.key("k", "0"), s.key("k", "1"), s.key("k", "2"))
	created := newRecord(s.key("k", "new"))
	good := []mfa.Write{create(created), replace(newRecord(r[0].Key), r[0].Version), remove(r[1])}
	for _, bad := range []struct {
		what  string
		write mfa.Write
	}{
		{"one creates a record that exists", create(newRecord(r[2].Key))},
		{"one replaces another version", replace(newRecord(r[2].Key), r[0].Version)},
		{"one replaces an absent record", replace(newRecord(s.key("k", "none")), r[0].Version)},
		{"one deletes another version", remove(mfa.Record{Key: r[2].Key, Version: r[0].Version})},
		{"one deletes an absent record", remove(mfa.Record{Key: s.key("k", "none"), Version: r[0].Version})},
	} {
		for at := range len(good) + 1 {
			s.conflicts(fmt.Sprintf("%s, at place %d of 4", bad.what, at+1), slices.Insert(slices.Clone(good), at, bad.write)...)
			s.holds(r...)
			s.absent(created.Key, s.key("k", "none"))
		}
	}
	s.commit(good...)
}

func deleteCases() []storeCase {
	return []storeCase{{
		name:        "delete",
		explanation: "a write with empty Data deletes the record: Get finds it absent, List leaves it out",
		run:         deleteWhole,
	}, {
		name:        "delete-version",
		explanation: "a delete with another version than the record has, or of an absent record, is ErrConflict",
		run: func(s *storeTest) {
			r := s.create(s.key("k", "a"), s.key("k", "b"))
			other := remove(mfa.Record{Key: r[0].Key, Version: r[1].Version})
			s.conflicts("deleting another version", other)
			s.conflicts("deleting another version, and the right one of another record", other, remove(r[1]))
			s.conflicts("deleting an absent record", remove(newRecord(s.key("k", "none"))))
			s.holds(r...)
		},
	}, {
		name:        "no-resurrection",
		explanation: "a record that was deleted does not come back: a write with the version it had is ErrConflict",
		run: func(s *storeTest) {
			r := s.create(s.key("k", ""))[0]
			s.commit(remove(r))
			s.conflicts("replacing a record after its delete", replace(newRecord(r.Key), r.Version))
			s.conflicts("replacing a record by itself after its delete", replace(r, r.Version))
			s.conflicts("deleting a record a second time", remove(r))
			s.absent(r.Key)
			s.lists(nil, s.owner, "k")
		},
	}, {
		name:        "incarnation",
		explanation: "a deleted record can be created again, and a write with a version from before the delete is ErrConflict",
		run:         incarnation,
	}}
}

func writesMost(s *storeTest) {
	r := s.sixtyFour()
	s.commit(r.writes...)
	s.holds(r.records...)
	var replaces, deletes []mfa.Write
	var next []mfa.Record
	for _, old := range r.records {
		n := newRecord(old.Key)
		next, replaces, deletes = append(next, n), append(replaces, replace(n, old.Version)), append(deletes, remove(n))
	}
	s.commit(replaces...)
	s.holds(next...)
	s.commit(deletes...)
	s.absent(r.keys...)
}

func replaceWhole(s *storeTest) {
	old := newRecord(s.key("k", ""))
	old.Data = bytes.Repeat([]byte("x"), 100)
	s.commit(create(old))
	for _, later := range []time.Duration{time.Hour, -time.Minute} {
		next := newRecord(old.Key)
		next.Expires = old.Expires.Add(later)
		next.Data = old.Data[1:]
		s.commit(replace(next, old.Version))
		s.holds(next)
		s.lists([]mfa.Record{next}, s.owner, "k")
		old = next
	}
}

func deleteWhole(s *storeTest) {
	r := s.create(s.key("k", "nil"), s.key("k", "empty"), s.key("k", "with-version"), s.key("k", "stays"))
	empty, version := remove(r[1]), remove(r[2])
	empty.Data = []byte{}
	version.Version, version.Expires = newRecord(r[2].Key).Version, r[2].Expires
	s.commit(remove(r[0]))
	s.commit(empty)
	s.commit(version)
	s.absent(r[0].Key, r[1].Key, r[2].Key)
	s.lists(r[3:], s.owner, "k")
}

func refuseTwice(s *storeTest) {
	other, r := newRecord(s.key("other", "")), newRecord(s.key("k", ""))
	s.refuses("creating one key twice", create(r), create(other), create(newRecord(r.Key)))
	s.absent(r.Key, other.Key)
	s.commit(create(r))
	s.refuses("replacing a record and deleting what replaced it", create(other), replace(newRecord(r.Key), r.Version), remove(r))
	s.refuses("deleting a record and creating it again", create(other), remove(r), create(newRecord(r.Key)))
	s.absent(other.Key)
	s.holds(r)
}

func refuseDelete(s *storeTest) {
	r := s.create(s.key("k", ""))[0]
	other := newRecord(s.key("other", ""))
	for _, k := range []mfa.Key{r.Key, s.key("none", "")} {
		s.refuses("delete with IfVersion \"\"", mfa.Write{Record: mfa.Record{Key: k}})
		s.refuses("delete with IfVersion \"\"", create(other), mfa.Write{Record: mfa.Record{Key: k, Version: "v", Data: []byte{}}})
	}
	s.absent(other.Key)
	s.holds(r)
}

func replaceVersion(s *storeTest) {
	old := s.create(s.key("k", ""))[0]
	next := newRecord(old.Key)
	s.conflicts("replacing a version that never was", replace(next, newRecord(old.Key).Version))
	s.holds(old)
	s.commit(replace(next, old.Version))
	s.conflicts("replacing a version a second time", replace(newRecord(old.Key), old.Version))
	s.conflicts("the same replace a second time", replace(next, old.Version))
	s.holds(next)
}

func incarnation(s *storeTest) {
	old := s.create(s.key("k", ""))[0]
	s.commit(remove(old))
	again := s.create(old.Key)[0]
	s.conflicts("replacing the deleted record's version", replace(newRecord(old.Key), old.Version))
	s.conflicts("deleting the deleted record's version", remove(old))
	s.holds(again)
	s.commit(remove(again))
	s.absent(again.Key)
}
