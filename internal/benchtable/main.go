// Command benchtable measures requests of each kind against the least that they
// could cost, in the same run, and prints tables. Run it on a machine that has
// nothing else to do:
//
//	go run ./internal/benchtable
//	go run ./internal/benchtable -growth 1000000
//
// docs/benchmarks.md says how to read them.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strings"
	"time"
)

func main() {
	rounds := flag.Int("rounds", 40, "how often an operation and its floor are measured, in turns")
	size := flag.Int("n", 200, "requests in a round")
	only := flag.String("run", "", "measure the operations that this regular expression matches")
	growth := flag.Int("growth", 0, "measure instead what refresh and exchange cost among so many authorizations, against 1,000")
	flag.Parse()
	chosen := regexp.MustCompile(*only)

	fmt.Printf("%s. %s, %d processors, %s %s/%s.\n\n", time.Now().UTC().Format(time.DateOnly),
		processor(), runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	if *growth > 0 {
		printGrowth(*growth, *rounds, *size)
		return
	}
	operations := newBench().operations()
	printRatios(operations, chosen, *rounds, *size)
	if runtime.NumCPU() > 1 {
		printScaling(operations, chosen, max(*rounds/2, 1), 20*time.Millisecond)
	}
}

func printRatios(operations []operation, chosen *regexp.Regexp, rounds, n int) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	fmt.Println("| operation | ns | floor | ratio | target | allocs | of the floor |")
	fmt.Println("|---|---:|---:|---:|---:|---:|---:|")
	for i := range operations {
		if o := &operations[i]; chosen.MatchString(o.name) {
			r := compare(o, rounds, n)
			target := "–"
			if r.target > 0 {
				target = fmt.Sprintf("%.2f", r.target)
			}
			fmt.Printf("| %s | %d | %d | %.2f | %s | %.0f | %.0f |\n", r.name, r.ours, r.floor, r.ratio, target, r.allocs, r.allocsOfFloor)
		}
	}
}

func printScaling(operations []operation, chosen *regexp.Regexp, rounds int, long time.Duration) {
	fmt.Println("\n| operation | two processors make, of what one does | of the floor |")
	fmt.Println("|---|---:|---:|")
	for i := range operations {
		if o := &operations[i]; chosen.MatchString(o.name) && o.target > 0 {
			ours, floors := scaling(o, rounds, long)
			fmt.Printf("| %s | %.2f | %.2f |\n", o.name, ours, floors)
		}
	}
}

func printGrowth(many, rounds, n int) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	const few, kept = 1000, 20_000 // of many, kept are refreshed, from all over
	small, large := newBench(), newBench()
	fmt.Printf("| operation | ns among %d | among %d | ratio |\n|---|---:|---:|---:|\n", few, many)
	for _, pair := range [][2]operation{
		{small.refresh(small.authorizations(few, few)), large.refresh(large.authorizations(many, kept))},
		{small.exchange(), large.exchange()},
	} {
		var m hand
		var a, b []time.Duration
		var ratios []float64
		for range rounds {
			x, y := m.run(&pair[0], n), m.run(&pair[1], n)
			a, b, ratios = append(a, x), append(b, y), append(ratios, float64(y)/float64(x))
		}
		fmt.Printf("| %s | %d | %d | %.2f |\n", pair[0].name, median(a), median(b), median(ratios))
	}
}

// processor is the name of the processor, where the system tells.
func processor() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return "unknown processor"
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, model, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(model)
		}
	}
	return "unknown processor"
}
