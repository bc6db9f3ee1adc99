package main

import (
	"fmt"
	"io"
	"os"
)

// progressLine shows how far a step is, on one line of a terminal. Into a file or a pipe it writes nothing.
type progressLine struct {
	out   io.Writer // nil when nobody looks
	step  string
	wrote bool
}

func newProgressLine(out io.Writer) *progressLine {
	file, ok := out.(*os.File)
	if !ok {
		return &progressLine{}
	}
	if info, err := file.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return &progressLine{}
	}
	return &progressLine{out: out}
}

// show tells how much of a step is done; a total of 0 is unknown.
func (p *progressLine) show(step string, done, total int64) {
	if p.out == nil {
		return
	}
	if p.step != step {
		p.end()
		p.step = step
	}
	p.wrote = true
	const mb = 1 << 20
	if total <= 0 {
		fmt.Fprintf(p.out, "\r%s: %.1f MB", step, float64(done)/mb)
		return
	}
	fmt.Fprintf(p.out, "\r%s: %.1f of %.1f MB (%d%%)", step, float64(done)/mb, float64(total)/mb, 100*done/total)
}

// end leaves the line.
func (p *progressLine) end() {
	if p.wrote {
		fmt.Fprintln(p.out)
		p.wrote = false
	}
}
