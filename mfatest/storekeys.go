package mfatest

import (
	"slices"
	"strings"

	"github.com/seed-1320b244/mfa"
)

func keyCases() []storeCase {
	const exact = "keys are bytes, compared exactly: "
	return []storeCase{{
		name:        "key-case",
		explanation: exact + "upper and lower case are different (in MySQL, VARBINARY)",
		run: func(s *storeTest) {
			s.distinct(s.suffixed("a/", "A/", "ß/", "SS/", "ss/", "ı/", "I/", "i/")...)
			s.distinct(s.key("k", "aB"), s.key("k", "ab"), s.key("k", "Ab"), s.key("k", "AB"))
		},
	}, {
		name:        "key-space",
		explanation: exact + "spaces at either end count (MySQL and CHAR columns ignore trailing ones)",
		run: func(s *storeTest) {
			s.distinct(s.suffixed("a", "a ", "a  ", "a\u00a0")...)
			base := newOwner()
			s.distinct(ownerKey(" "+base), ownerKey(base), ownerKey("  "+base))
		},
	}, {
		name:        "key-unicode",
		explanation: exact + "Unicode is neither normalized nor folded, and not limited to three bytes",
		run: func(s *storeTest) {
			s.distinct(s.suffixed("\u00e9/", "e\u0301/", "e/", "\u212b/", "\u00c5/", "A\u030a/", "\uff41/", "a/", "\ufb01/", "fi/")...)
			s.distinct(s.suffixed("\U0001f511/", "\U0001f512/", "\ufffd/", "?/")...)
		},
	}, {
		name:        "key-wildcards",
		explanation: exact + "what is special in a pattern, a path or a statement is not special in a key",
		run: func(s *storeTest) {
			s.distinct(s.suffixed("%.", "_.", "*.", "?.", "[a-z].", ".*.", "a.", "ab.")...)
			s.distinct(s.suffixed(`'.`, `''.`, `".`, `"".`, `\.`, `\\.`, `\'.`, "`.", "$1.", "{a}.", "@p.", "%41.", "A.", "&.", "&amp;.")...)
			s.distinct(s.suffixed("/..", "/../.", "//", "/./", "x/..")...)
			s.distinct(s.key("k", "a_c"), s.key("k", "abc"), s.key("k", "a-c"), s.key("k", "_"), s.key("k", "-"), s.key("k", "--"))
		},
	}, {
		name:        "key-digits",
		explanation: exact + "an id or an owner of digits is not a number (SQLite's NUMERIC affinity, dynamic types)",
		run: func(s *storeTest) {
			ids := []string{"7", "07", "007", "7e0", "0x7", "-7", "-07", "0", "-0", "1", "true", "null"}
			var keys []mfa.Key
			for _, id := range ids {
				keys = append(keys, s.key("k", id))
			}
			s.distinct(keys...)
		},
	}, {
		name:        "key-encoding",
		explanation: "keys are encoded injectively: no owner, kind and id run together into those of another key",
		run:         keyEncoding,
	}, {
		name:        "key-lengths",
		explanation: "owners of 1 to 256 bytes, kinds of up to 32 and ids of up to 64 are kept whole, and an id may be empty",
		run:         keyLengths,
	}}
}

// suffixed returns keys of owners that differ only in these last bytes.
func (s *storeTest) suffixed(suffixes ...string) []mfa.Key {
	base := newOwner()
	var keys []mfa.Key
	for _, suffix := range suffixes {
		keys = append(keys, ownerKey(base+suffix))
	}
	return keys
}

func ownerKey(owner string) mfa.Key { return mfa.Key{Owner: owner, Kind: "k", ID: "i"} }

// distinct creates a record under each key, checks that Get and List tell them
// apart, and deletes every second one, which must leave the others.
func (s *storeTest) distinct(keys ...mfa.Key) {
	s.t.Helper()
	var kinds []string
	for _, k := range keys {
		if !slices.Contains(kinds, k.Kind) {
			kinds = append(kinds, k.Kind)
		}
	}
	var records, rest []mfa.Record
	for _, k := range keys {
		s.absent(k)
		records = append(records, s.create(k)...)
	}
	s.holds(records...)
	for _, k := range keys {
		own := slices.DeleteFunc(slices.Clone(records), func(r mfa.Record) bool { return r.Owner != k.Owner })
		s.lists(own, k.Owner, kinds...)
	}
	for i, r := range records {
		if i%2 == 0 {
			s.commit(remove(r))
		} else {
			rest = append(rest, r)
		}
	}
	s.holds(rest...)
}

// keyEncoding shifts bytes between neighboring parts of a key, with and without
// the separators an adapter may have put between them.
func keyEncoding(s *storeTest) {
	for _, separator := range []string{"", "/", ":", "|", "-", "_", ".", ",", "#", " ", "\\", "\\/", "//"} {
		owner := newOwner()
		s.distinct(
			mfa.Key{Owner: owner, Kind: "k", ID: "kk"},
			mfa.Key{Owner: owner, Kind: "kk", ID: "k"},
			mfa.Key{Owner: owner, Kind: "kkk", ID: ""},
			mfa.Key{Owner: owner + separator + "k", Kind: "k", ID: "k"},
			mfa.Key{Owner: owner + separator + "k", Kind: "kk", ID: ""},
			mfa.Key{Owner: owner + separator + "k" + separator + "k", Kind: "k", ID: ""},
		)
		if separator == "-" || separator == "_" { // the two an id may hold
			s.distinct(
				mfa.Key{Owner: owner, Kind: "a", ID: "b" + separator + "c"},
				mfa.Key{Owner: owner + separator + "a", Kind: "b", ID: "c"},
				mfa.Key{Owner: owner, Kind: "a", ID: "b" + separator},
				mfa.Key{Owner: owner, Kind: "a", ID: "b"},
			)
		}
	}
}

// keyLengths uses keys that differ in their last byte alone, so that a store that
// cuts them short mixes them up.
func keyLengths(s *storeTest) {
	long := newOwner()
	long += strings.Repeat("x", 255-len(long))
	s.distinct(ownerKey(long+"a"), ownerKey(long+"b"), ownerKey(long))
	wide := newOwner() // 256 bytes in fewer code points
	wide += strings.Repeat("\u00e9", (254-len(wide))/2)
	wide += strings.Repeat("x", 254-len(wide))
	s.distinct(ownerKey(wide+"\u00e9"), ownerKey(wide+"\u00e8"))

	id := strings.Repeat("i", 63)
	kind := strings.Repeat("k", 31)
	s.distinct(
		s.key("k", id+"a"), s.key("k", id+"b"), s.key("k", id), s.key("k", ""),
		s.key(kind+"a", id+"a"), s.key(kind+"b", id+"a"), s.key(kind+"a", ""),
	)
	// The three at their greatest together, as an index over them meets them.
	s.distinct(mfa.Key{Owner: long + "c", Kind: kind + "c", ID: id + "c"}, mfa.Key{Owner: long + "c", Kind: kind + "c", ID: id + "d"})
	s.shortOwner()
}

// shortOwner uses an owner of one byte. It cannot be random, so what is there
// may be an earlier run's.
func (s *storeTest) shortOwner() {
	s.t.Helper()
	r := newRecord(mfa.Key{Owner: "~", Kind: "k", ID: newOwner()[2:]})
	s.commit(create(r))
	s.holds(r)
	s.commit(remove(r))
}
