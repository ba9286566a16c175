//go:build unix

package main

import (
	"syscall"
	"time"
)

// cpuTime is what the process has used of all processors: garbage collection
// counts, waiting for other programs does not.
func cpuTime() time.Duration {
	var u syscall.Rusage
	must(syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
