// Command measure starts a built portico several times and prints what a start costs: the time from
// exec to /readyz 200 on an empty directory and on a used one, the memory after a while of
// idling and the CPU time that idling takes. Linux only: it reads /proc.
//
//	go build -o portico ./cmd/portico && go run ./test/measure -binary ./portico
package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/portico-api/portico/test/rig"
)

func main() {
	binary := flag.String("binary", "./portico", "the built program")
	runs := flag.Int("runs", 5, "how many empty directories to start on")
	idle := flag.Duration("idle", 10*time.Second, "how long to idle before memory is read")
	definitions := flag.Int("definitions", 0, "how many custom resources to define, instead of measuring starts")
	objects := flag.Int("objects", 0, "how many objects of them to make")
	apiServices := flag.Int("apiservices", 0, "how many servers to put behind the front door, instead of measuring starts")
	watches := flag.Int("watches", 0, "how many watches on them to open")
	elsewhere := flag.Bool("elsewhere", false, "define at the lowest priority, as if from another machine")
	defined := flag.String("define", "", "for its own use: the address of a server to define resources at")
	http1 := flag.Bool("http1", false, "whether those servers speak HTTP/1.1 alone")
	asked := flag.String("ask", "", "for its own use: the address of a server to ask until the input ends")
	dataDir := flag.String("data-dir", "", "for its own use: the directory of that server")
	flag.Parse()
	var err error
	switch {
	case *asked != "":
		err = ask(*asked, *dataDir, os.Stdin)
	case *defined != "":
		err = define(*defined, *dataDir, *definitions)
	case *definitions > 0:
		err = measureDefinitions(*binary, *definitions, *objects, *idle, *elsewhere)
	case *apiServices > 0:
		err = measureAPIServices(*binary, *apiServices, *watches, *http1, *idle)
	default:
		err = measure(*binary, *runs, *idle)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func measure(binary string, runs int, idle time.Duration) error {
	var first, second, memory, cpu []float64
	for range runs {
		dir, err := os.MkdirTemp("", "portico-measure-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		for i, times := range []*[]float64{&first, &second} {
			p, ready, err := rig.StartPortico(binary, dir)
			if err != nil {
				return err
			}
			*times = append(*times, float64(ready.Milliseconds()))
			if i == 1 {
				before := p.CPU()
				time.Sleep(idle)
				cpu = append(cpu, 100*(p.CPU()-before).Seconds()/idle.Seconds())
				memory = append(memory, p.Memory())
			}
			if err := p.Stop(); err != nil {
				return err
			}
		}
	}
	fmt.Printf("%-44s %8s %8s %8s\n", fmt.Sprintf("%d runs", runs), "min", "median", "max")
	for _, row := range []struct {
		what   string
		values []float64
	}{
		{"exec to readyz, empty directory (ms)", first},
		{"exec to readyz, second start (ms)", second},
		{fmt.Sprintf("resident memory after %v idle (MB)", idle), memory},
		{"CPU while idle (% of a core)", cpu},
	} {
		slices.Sort(row.values)
		fmt.Printf("%-44s %8.1f %8.1f %8.1f\n", row.what, row.values[0], row.values[len(row.values)/2], row.values[len(row.values)-1])
	}
	return nil
}
