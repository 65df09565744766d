package mfatest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed-1320b244/mfa"
)

func getCases() []storeCase {
	return []storeCase{{
		name:        "get-order",
		explanation: "Get returns the records in the order of the keys",
		run:         getOrder,
	}, {
		name:        "get-absent",
		explanation: "a record that is not there has its Key, Version \"\" and nothing else, at its place among the others",
		run: func(s *storeTest) {
			r := s.create(s.key("k", "b"), s.key("k", "d"))
			a, c, e := mfa.Record{Key: s.key("k", "a")}, mfa.Record{Key: s.key("k", "c")}, mfa.Record{Key: s.key("k", "e")}
			nobody := mfa.Record{Key: ownerKey(newOwner())}
			s.same("Get", s.get(nobody.Key), []mfa.Record{nobody})
			s.same("Get", s.get(a.Key, r[0].Key, c.Key, r[1].Key, e.Key, nobody.Key), []mfa.Record{a, r[0], c, r[1], e, nobody})
		},
	}, {
		name:        "get-many",
		explanation: "Get takes as many keys as it is given (100 here)",
		run: func(s *storeTest) {
			var keys []mfa.Key
			var want []mfa.Record
			for i := range 100 {
				k := s.key("k", fmt.Sprintf("%03d", i))
				keys, want = append(keys, k), append(want, s.create(k)...)
			}
			s.same("Get", s.get(keys...), want)
		},
	}, {
		name:        "get-duplicates",
		explanation: "a key that is given twice is answered twice",
		run: func(s *storeTest) {
			r := s.create(s.key("k", ""))[0]
			s.same("Get", s.get(r.Key, r.Key), []mfa.Record{r, r})
		},
	}, {
		name:        "get-owners",
		explanation: "Get takes keys of several owners",
		run: func(s *storeTest) {
			keys := []mfa.Key{ownerKey("u/1" + s.owner), ownerKey("u/2" + s.owner), ownerKey("u/3" + s.owner)}
			want := s.create(keys...)
			s.same("Get", s.get(keys...), want)
		},
	}, {
		name:        "get-none",
		explanation: "Get of no keys returns no records and no error",
		run: func(s *storeTest) {
			s.create(s.key("k", ""))
			s.get()
		},
	}, {
		name:        "canceled",
		explanation: "Get, List and Commit with a context that is over return an error at once, and it is not ErrConflict",
		run:         canceled,
	}}
}

func listCases() []storeCase {
	return []storeCase{{
		name:        "list-kinds",
		explanation: "List returns the records of the given kinds, and only those",
		run: func(s *storeTest) {
			r := s.create(s.key("a", "1"), s.key("a", "2"), s.key("ab", "1"), s.key("b", "1"), s.key("ba", ""))
			s.lists(r[:2], s.owner, "a")
			s.lists(r[2:3], s.owner, "ab")
			s.lists([]mfa.Record{r[0], r[1], r[3]}, s.owner, "b", "a")
			s.lists(r, s.owner, "ba", "b", "ab", "a", "none")
			s.lists(nil, s.owner, "none")
			s.lists(nil, s.owner, "c", "aba")
		},
	}, {
		name:        "list-all",
		explanation: "List without kinds returns the records of every kind",
		run: func(s *storeTest) {
			r := s.create(s.key("a", ""), s.key("b", "1"), s.key("b", "2"), s.key("zzz", "3"))
			s.lists(r, s.owner)
		},
	}, {
		name:        "list-duplicates",
		explanation: "List returns a record once, even when its kind is given twice",
		run: func(s *storeTest) {
			r := s.create(s.key("a", "1"), s.key("b", "1"))
			s.lists(r, s.owner, "a", "b", "a")
		},
	}, {
		name:        "list-unknown",
		explanation: "List of an owner without records returns none, and no error",
		run: func(s *storeTest) {
			s.lists(nil, s.owner)
			s.lists(nil, s.owner, "a", "b")
		},
	}, {
		name:        "list-owner",
		explanation: "List returns the records of this owner, not of one whose name begins, ends or contains the same",
		run:         listOwner,
	}, {
		name:        "list-many",
		explanation: "List returns all there is (200 records here), however many pages the database makes of it",
		run:         listMany,
	}}
}

// hangs is how long a call with a canceled context may take before it counts as
// one that never returns.
const hangs = 10 * time.Second

func canceled(s *storeTest) {
	r := s.create(s.key("k", ""))[0]
	ctx, cancel := context.WithCancel(s.t.Context())
	cancel()
	s.ends("Get", func() error { _, err := s.store.Get(ctx, r.Key); return err })
	s.ends("List", func() error { _, err := s.store.List(ctx, s.owner, "k"); return err })
	s.ends("Commit", func() error { return s.store.Commit(ctx, replace(newRecord(r.Key), r.Version)) })
	expired, cancel := context.WithDeadline(s.t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	s.ends("Get", func() error { _, err := s.store.Get(expired, r.Key); return err })
}

// ends checks that call returns an error and does not hang. A call that hangs is
// left behind, there is no way to end it.
func (s *storeTest) ends(what string, call func() error) {
	s.t.Helper()
	done := make(chan error, 1)
	go func() { done <- call() }()
	timer := time.NewTimer(hangs)
	defer timer.Stop()
	select {
	case err := <-done:
		if err == nil {
			s.fatalf("%s with a canceled context returned nil", what)
		}
		if errors.Is(err, mfa.ErrConflict) {
			s.fatalf("%s with a canceled context returned ErrConflict, which asks to try again", what)
		}
	case <-timer.C:
		s.fatalf("%s with a canceled context did not return within %v", what, hangs)
	}
}

func getOrder(s *storeTest) {
	r := s.create(s.key("b", "2"), s.key("a", "3"), s.key("b", "1"), s.key("a", "2"))
	for _, order := range [][]int{{0, 1, 2, 3}, {3, 2, 1, 0}, {1, 3, 0, 2}, {2, 0, 3, 1}} {
		var keys []mfa.Key
		var want []mfa.Record
		for _, i := range order {
			keys, want = append(keys, r[i].Key), append(want, r[i])
		}
		s.same("Get", s.get(keys...), want)
	}
}

func listOwner(s *storeTest) {
	owners := []string{s.owner, s.owner + "b", s.owner + "/b", "x" + s.owner, s.owner[:len(s.owner)-1], s.owner + "\ufffd"}
	var all []mfa.Record
	for _, o := range owners {
		all = append(all, s.create(ownerKey(o))...)
	}
	for i, o := range owners {
		s.lists(all[i:i+1], o)
		s.lists(all[i:i+1], o, "k")
	}
}

func listMany(s *storeTest) {
	var want []mfa.Record
	for i := range 200 {
		want = append(want, newRecord(s.key("k", fmt.Sprint(i))))
	}
	for i := 0; i < len(want); i += 50 {
		var writes []mfa.Write
		for _, r := range want[i : i+50] {
			writes = append(writes, create(r))
		}
		s.commit(writes...)
	}
	s.lists(want, s.owner, "k")
}
