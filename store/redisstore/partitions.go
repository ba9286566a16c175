package redisstore

import (
	"context"

	"github.com/seed-e797c9ce/oauth/store"
)

const (
	step      = 1000    // how many records a script changes at most
	listBytes = 1 << 20 // after how many bytes of records a script stops reading
)

// everywhere are the tags of all partitions.
func (s *Store) everywhere() []string {
	tags := make([]string, s.partitions)
	for i := range tags {
		tags[i] = s.tag(i)
	}
	return tags
}

// stepwise runs a script over an index in each of several partitions, a step at a
// time, until none has anything left, and returns how many records the script
// changed. The script answers where to go on and how many.
func (s *Store) stepwise(ctx context.Context, sc script, tags []string, next func(tag, from string) call) (int, error) {
	froms := make(map[string]string, len(tags))
	for _, tag := range tags {
		froms[tag] = from("")
	}
	total := 0
	for len(tags) > 0 {
		calls := make([]call, len(tags))
		for i, tag := range tags {
			calls[i] = next(tag, froms[tag])
		}
		replies, err := s.runAll(ctx, sc, calls)
		if err != nil {
			return 0, err
		}
		var left []string
		for i, tag := range tags {
			reply, _ := replies[i].([]any)
			if len(reply) != 2 {
				return 0, errReply
			}
			n, _ := reply[1].(int64)
			total += int(n)
			if froms[tag], _ = reply[0].(string); froms[tag] != "" {
				left = append(left, tag)
			}
		}
		tags = left
	}
	return total, nil
}

// row is a record of a list.
type row struct {
	id                                                     string
	version, document, purgeAt, revokedAt, client, subject any
}

// stream is what has been read of one partition's part of a list.
type stream struct {
	tag  string
	rows []row
	next string // where to go on; empty: there is nothing more
}

// list reads a page of the records that an index names in every partition, in
// order of their IDs.
func (s *Store) list(ctx context.Context, index, record string, q store.TokenQuery, after string, limit int) ([]row, error) {
	streams := make([]*stream, s.partitions)
	for i := range streams {
		streams[i] = &stream{tag: s.tag(i), next: from(after)}
	}
	// A partition's share, and some more, so that most pages need one round.
	count := min(limit, limit/s.partitions+8)
	if q.Subject != "" && q.ClientID != "" {
		count = step // the index names others as well
	}
	var page []row
	for len(page) < limit {
		if err := s.fill(ctx, streams, index, record, q, count); err != nil {
			return nil, err
		}
		first := smallest(streams)
		if first == nil {
			break
		}
		page = append(page, first.rows[0])
		first.rows = first.rows[1:]
	}
	return page, nil
}

// fill reads on in each partition of which nothing is left.
func (s *Store) fill(ctx context.Context, streams []*stream, index, record string, q store.TokenQuery, count int) error {
	for {
		var dry []*stream
		var calls []call
		for _, st := range streams {
			if len(st.rows) == 0 && st.next != "" {
				dry = append(dry, st)
				calls = append(calls, call{
					keys: []string{st.tag + index},
					args: []any{st.tag + record, st.next, count, listBytes, q.ClientID, q.Subject},
				})
			}
		}
		if len(dry) == 0 {
			return nil
		}
		replies, err := s.runAll(ctx, list, calls)
		if err != nil {
			return err
		}
		for i, st := range dry {
			if err := st.read(replies[i]); err != nil {
				return err
			}
		}
	}
}

func (st *stream) read(reply any) error {
	const width = 7
	v, _ := reply.([]any)
	if len(v)%width != 1 {
		return errReply
	}
	var f fields
	st.next = f.text(v[0])
	for v = v[1:]; len(v) > 0; v = v[width:] {
		st.rows = append(st.rows, row{f.text(v[0]), v[1], v[2], v[3], v[4], v[5], v[6]})
	}
	return f.err
}

// smallest is the stream with the row that is next, nil if there is none.
func smallest(streams []*stream) *stream {
	var first *stream
	for _, st := range streams {
		if len(st.rows) > 0 && (first == nil || st.rows[0].id < first.rows[0].id) {
			first = st
		}
	}
	return first
}
