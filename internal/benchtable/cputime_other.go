//go:build !unix

package main

import "time"

var started = time.Now()

// cpuTime is the time that has passed, where nothing better is at hand.
func cpuTime() time.Duration { return time.Since(started) }
