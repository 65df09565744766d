package mfatest

import (
	"bytes"
	"crypto/rand"
	"slices"
	"strings"
	"time"

	"github.com/seed-1320b244/mfa"
)

func valueCases() []storeCase {
	return []storeCase{{
		name:        "version-exact",
		explanation: "a version is kept as it is: 1 to 128 bytes of A-Z a-z 0-9 _ -, even where it looks like a number",
		run:         versionExact,
	}, {
		name:        "version-compare",
		explanation: "versions are compared as bytes: case, length and every byte count, and digits are no number",
		run:         versionCompare,
	}, {
		name:        "expires-exact",
		explanation: "Expires is whole seconds and keeps its value, past 2038, 2106 and 2262 too",
		run:         expiresExact,
	}, {
		name:        "expires-zero",
		explanation: "a zero Expires is never, is stored as 0 and comes back as the zero time",
		run:         expiresZero,
	}, {
		name:        "expires-utc",
		explanation: "Expires comes back in UTC, whatever the zone of the process or of the database",
		run:         expiresUTC,
	}, {
		name:        "expired-kept",
		explanation: "nothing is dropped before its Expires plus 24 hours, and until then it counts: the library judges what is over",
		run:         expiredKept,
	}, {
		name:        "data-bytes",
		explanation: "Data is opaque: every byte comes back, zero bytes, spaces at the ends and what is not UTF-8 too",
		run:         dataBytes,
	}, {
		name:        "data-size",
		explanation: "Data of up to 64 KiB is accepted and comes back whole (in MySQL, a BLOB ends at 65,535 bytes)",
		run: func(s *storeTest) {
			large := bytes.Repeat([]byte("0123456789abcdef"), 4<<10)
			s.keeps(large, large[1:], []byte{1})
		},
	}, {
		name:        "copies-in",
		explanation: "bytes are copied in: what the caller does to a slice after Commit does not reach the store",
		run:         copiesIn,
	}, {
		name:        "copies-out",
		explanation: "bytes are copied out: what the caller does to a record it was given does not reach the store",
		run:         copiesOut,
	}}
}

// keeps creates a record of each of these data, and replaces another record by them
// one after the other.
func (s *storeTest) keeps(data ...[]byte) {
	s.t.Helper()
	first := s.create(s.key("replaced", ""))[0]
	old := first.Version
	for _, d := range data {
		r := newRecord(s.key("k", rand.Text()))
		r.Data = d
		s.commit(create(r))
		s.holds(r)
		s.lists([]mfa.Record{r}, s.owner, "k")
		s.commit(remove(r))

		next := newRecord(first.Key)
		next.Data = d
		s.commit(replace(next, old))
		s.holds(next)
		old = next.Version
	}
}

func versionExact(s *storeTest) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	versions := []string{"a", "A", "0", "-", "_", "--", "007", "-1", "1e3", "0x10", "9007199254740993", "true", "null", "NULL",
		alphabet, alphabet + alphabet, strings.Repeat("9", 128), strings.Repeat("-", 128)}
	r := newRecord(s.key("k", ""))
	old := ""
	for _, v := range versions {
		r.Version = v
		s.commit(replace(r, old))
		s.holds(r)
		s.lists([]mfa.Record{r}, s.owner, "k")
		old = v
	}
	s.commit(remove(r))
	s.absent(r.Key)
}

func versionCompare(s *storeTest) {
	long := strings.Repeat("v", 127)
	for _, pair := range [][2]string{
		{"abc", "ABC"}, {"ABC", "abc"}, {"abc", "ab"}, {"abc", "abcd"}, {"007", "7"}, {"7", "007"}, {"1e3", "1000"},
		{"0", "-0"}, {"a_c", "abc"}, {"abc", "a_c"}, {"abc", "___"}, {long + "a", long + "b"}, {long + "a", long},
	} {
		r := newRecord(s.key("k", rand.Text()))
		r.Version = pair[0]
		s.commit(create(r))
		other := r
		other.Version = pair[1]
		s.conflicts("replacing version "+pair[1]+" of a record that has "+pair[0], replace(newRecord(r.Key), other.Version))
		s.conflicts("deleting version "+pair[1]+" of a record that has "+pair[0], remove(other))
		s.holds(r)
	}
}

// pastExpires accepts a record that is long over. The store may have dropped it
// already, but may not have changed it.
func (s *storeTest) pastExpires() {
	s.t.Helper()
	for _, unix := range []int64{1, 1_000_000_000} {
		r := newRecord(s.key("past", rand.Text()))
		r.Expires = time.Unix(unix, 0).UTC()
		s.commit(create(r))
		if got := s.get(r.Key); got[0].Version != "" {
			s.same("Get", got, []mfa.Record{r})
		}
	}
}

func expiredKept(s *storeTest) {
	over := func(k mfa.Key, by time.Duration) mfa.Record {
		r := newRecord(k)
		r.Expires = inSeconds(time.Now().Add(-by))
		return r
	}
	a, b := over(s.key("k", "a"), time.Minute), over(s.key("k", "b"), 23*time.Hour)
	s.commit(create(a), create(b))
	s.commit(create(newRecord(s.key("other", "")))) // a write may be when a store tidies up
	s.holds(a, b)
	s.lists([]mfa.Record{a, b}, s.owner, "k")
	s.conflicts("creating a record that is over but still there", create(newRecord(a.Key)))

	next := over(b.Key, 22*time.Hour)
	s.commit(replace(next, b.Version))
	s.holds(next)
	s.commit(remove(a))
	s.absent(a.Key)
}

func expiresExact(s *storeTest) {
	var want []mfa.Record
	for _, unix := range []int64{1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 32, 9_223_372_037, 253_402_300_799} {
		r := newRecord(s.key("k", rand.Text()))
		r.Expires = time.Unix(unix, 0).UTC()
		s.commit(create(r))
		want = append(want, r)
	}
	s.holds(want...)
	s.lists(want, s.owner, "k")
	s.pastExpires()
}

func expiresZero(s *storeTest) {
	r := newRecord(s.key("k", ""))
	r.Expires = time.Time{}
	s.commit(create(r))
	for _, got := range slices.Concat(s.get(r.Key), s.list(s.owner, "k")) {
		if !got.Expires.IsZero() {
			s.fatalf("expiry is %v, want the zero time", got.Expires)
		}
	}
}

func dataBytes(s *storeTest) {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	reversed := slices.Clone(all)
	slices.Reverse(reversed)
	s.keeps(all, reversed, []byte{0}, []byte{0, 0, 0}, []byte(" "), []byte("\r\n"), []byte("\xff\xfe"),
		[]byte("null"), []byte(`""`), []byte(`{"a":1,"a":2, "b" : 1.0}`), []byte(`\x00\000'`), []byte("e\u0301"))
}

func copiesIn(s *storeTest) {
	r := newRecord(s.key("k", ""))
	writes := []mfa.Write{create(r)}
	s.commit(writes...)
	if !bytes.Equal(writes[0].Data, r.Data) {
		s.fatalf("Commit altered the caller's data")
	}
	clear(writes[0].Data)
	writes[0] = mfa.Write{}
	s.holds(r)
}

func expiresUTC(s *storeTest) {
	r := s.create(s.key("k", ""))[0]
	for _, got := range slices.Concat(s.get(r.Key), s.list(s.owner, "k")) {
		if got.Expires.Location() != time.UTC {
			s.fatalf("expiry is in the zone %v, want UTC", got.Expires.Location())
		}
	}
}

func copiesOut(s *storeTest) {
	r := s.create(s.key("k", ""))[0]
	clear(s.get(r.Key)[0].Data)
	s.holds(r)
	clear(s.list(s.owner, "k")[0].Data)
	s.holds(r)
	s.lists([]mfa.Record{r}, s.owner, "k")
}
