package store

import (
	"bytes"
	"container/heap"
)

// cursors is a heap of cursors by the IDs that they are at.
type cursors []*cursor

func (c cursors) Len() int           { return len(c) }
func (c cursors) Less(i, j int) bool { return bytes.Compare(c[i].id(), c[j].id()) < 0 }
func (c cursors) Swap(i, j int)      { c[i], c[j] = c[j], c[i] }
func (c *cursors) Push(x any)        { *c = append(*c, x.(*cursor)) }
func (c *cursors) Pop() any {
	last := len(*c) - 1
	x := (*c)[last]
	*c = (*c)[:last]
	return x
}

// A selection is the records of one group of an order, those that have a value
// in another field if there is one.
type selection struct {
	order int
	group string
	field int
	value string
}

func (q selection) has(t *table, rec record) bool {
	return string(t.orders[q.order].groupOf(rec)) == q.group && q.hasValue(rec)
}

func (q selection) hasValue(rec record) bool {
	return q.value == "" || string(rec.field(q.field)) == q.value
}

// list returns copies of up to limit of the selected records, in order of their
// IDs, from the first whose ID is greater than after.
func (t *table) list(q selection, after string, limit int) []string {
	var list []string
	last := []byte(after)
	for more := true; more; {
		list, last, more = t.listStep(q, list, last, limit)
	}
	return list
}

// listStep does a part of list that takes no longer than a page: it looks at
// all shards in one moment, and stops when list has limit records or it has
// seen as many as fill a page. It returns the longer list and the last ID that
// it saw.
func (t *table) listStep(q selection, list []string, after []byte, limit int) (_ []string, last []byte, more bool) {
	t.rlockAll()
	defer t.runlockAll()
	var next cursors
	for i := range t.shards {
		if c := t.shards[i].cursor(q.order, q.group, after); c.advance() {
			next = append(next, c)
		}
	}
	heap.Init(&next)
	for looks := 0; len(next) > 0 && len(list) < limit; looks++ {
		if looks == MaxPage {
			return list, last, true
		}
		c := next[0]
		last = append(last[:0], c.id()...)
		if q.hasValue(c.rec) {
			if text, ok := t.seen(c.shard, c.n); ok {
				list = append(list, text)
			}
		}
		if c.advance() {
			heap.Fix(&next, 0)
		} else {
			heap.Pop(&next)
		}
	}
	return list, last, false
}
