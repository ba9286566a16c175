package app

import (
	"strings"
	"sync"
)

const (
	maxNotes = 100  // of one user
	maxNote  = 1000 // bytes
)

// notebook is what the app is about: each user has notes.
type notebook struct {
	mu    sync.Mutex
	notes map[string][]string // by subject
}

func newNotebook() *notebook {
	return &notebook{notes: map[string][]string{"u-1": {"Buy coffee"}, "u-2": {"Water the plants"}}}
}

func (n *notebook) of(subject string) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]string{}, n.notes[subject]...)
}

// add reports whether there was room and the note was one.
func (n *notebook) add(subject, note string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if note = strings.TrimSpace(note); note == "" || len(note) > maxNote || len(n.notes[subject]) >= maxNotes {
		return false
	}
	n.notes[subject] = append(n.notes[subject], note)
	return true
}

func (n *notebook) count() (sum int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, notes := range n.notes {
		sum += len(notes)
	}
	return sum
}
