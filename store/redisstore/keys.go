package redisstore

import (
	"fmt"
	"hash/fnv"
	"strconv"
)

// A key is the prefix, the number of a partition in braces, which is its hash
// tag, the name of what is kept, and at last the ID. The prefix has no braces,
// so the first pair is the tag whatever an ID contains; and what comes before
// an ID has a fixed form, so no two IDs make one key. Of an ID with two parts
// the first is preceded by its length.

// partition says in which partition a record is. The hash is part of the
// format: with another one, records would be looked for where they are not.
func (s *Store) partition(kind, id string) int {
	h := fnv.New64a()
	_, _ = h.Write([]byte(kind))
	_, _ = h.Write([]byte(id))
	return int(h.Sum64() % uint64(s.partitions))
}

// tag is what all keys of a partition begin with.
func (s *Store) tag(partition int) string {
	return s.prefix + "{" + strconv.Itoa(partition) + "}"
}

func purgeKey(tag string) string { return tag + ":purge" }

// pair writes two strings as one that no other two make.
func pair(a, b string) string { return strconv.Itoa(len(a)) + ":" + a + ":" + b }

// place is where a record is: the keys that its scripts use.
type place struct {
	tag, key string
	indexes  []string // that name the record
	entry    string   // in the purge index, after the time
}

func (s *Store) clientPlace(id string) place {
	tag := s.tag(s.partition("client", id))
	return place{tag: tag, key: tag + ":client:" + id, indexes: []string{tag + ":clients"}, entry: "c" + id}
}

func (s *Store) codePlace(kind, key string) place {
	id := pair(kind, key)
	tag := s.tag(s.partition("code", id))
	return place{tag: tag, key: tag + ":code:" + id, entry: "o" + id}
}

// tokenPlace needs client and subject only where the record is written.
func (s *Store) tokenPlace(id, client, subject string) place {
	tag := s.tag(s.partition("token", id))
	p := place{
		tag: tag, key: tag + ":token:" + id, indexes: []string{tag + ":app:" + client},
		entry: fmt.Sprintf("t%d:%d:%s%s%s", len(id), len(client), id, client, subject),
	}
	if subject != "" {
		p.indexes = append(p.indexes, tag+":subject:"+subject)
	}
	return p
}

// consentPlace has all consents of a subject in one partition.
func (s *Store) consentPlace(subject, client string) place {
	tag := s.tag(s.partition("consent", subject))
	return place{
		tag: tag, key: tag + ":consent:" + pair(subject, client),
		indexes: []string{tag + ":consents:" + subject, tag + ":consenters:" + client},
	}
}

// from says where in an index a page begins: after a member, or at the first.
func from(after string) string {
	if after == "" {
		return "-"
	}
	return "(" + after
}
