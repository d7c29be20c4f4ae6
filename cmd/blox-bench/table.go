package main

import (
	"fmt"
	"io"
	"math"
	"runtime"
	"slices"
	"text/tabwriter"
	"time"
)

// row is one figure beside its floor: the medians of several runs, and the median of each run's own ratio.
type row struct {
	section, what, unit string
	pairs               []pair
	goals               []goal
}

// pair is what one run measured. A floor of NaN stands for none.
type pair struct{ measured, floor float64 }

// goal is one bound from design.md, "Speed".
type goal struct {
	text string
	met  func(measured, ratio float64) bool
}

func atLeast(text string, bound float64) goal {
	return goal{text, func(measured, _ float64) bool { return measured >= bound }}
}

func below(text string, bound float64) goal {
	return goal{text, func(measured, _ float64) bool { return measured < bound }}
}

func ratioAtLeast(bound float64) goal {
	return goal{fmt.Sprintf("ratio %.1f", bound), func(_, ratio float64) bool { return ratio >= bound }}
}

type table struct{ rows []row }

func (t *table) add(r row) { t.rows = append(t.rows, r) }

func (t *table) print(out io.Writer) {
	fmt.Fprintf(out, "\n%s/%s, %d CPUs, shared by the service, etcd, the simulator and the load. Medians; ratios are within one run.\n\n",
		runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "section\twhat\tmeasured\tfloor\tratio\ttarget\treached")
	for _, r := range t.rows {
		measured, floor, ratio := r.medians()
		target, reached := "-", "-"
		for i, g := range r.goals {
			if i == 0 {
				target, reached = g.text, "yes"
			} else {
				target += ", " + g.text
			}
			if !g.met(measured, ratio) {
				reached = "no"
			}
		}
		floorText, ratioText := "-", "-"
		if !math.IsNaN(floor) {
			floorText, ratioText = number(floor)+" "+r.unit, fmt.Sprintf("%.2f", ratio)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.section, r.what, number(measured)+" "+r.unit, floorText, ratioText, target, reached)
	}
	_ = w.Flush()
	fmt.Fprintln(out, "\nOne section again: make bench RUN=<section>")
}

func (r row) medians() (measured, floor, ratio float64) {
	column := func(of func(pair) float64) float64 {
		values := make([]float64, len(r.pairs))
		for i, p := range r.pairs {
			values[i] = of(p)
		}
		return median(values)
	}
	return column(func(p pair) float64 { return p.measured }), column(func(p pair) float64 { return p.floor }),
		column(func(p pair) float64 { return p.measured / p.floor })
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	slices.Sort(values)
	middle := len(values) / 2
	if len(values)%2 == 0 {
		return (values[middle-1] + values[middle]) / 2
	}
	return values[middle]
}

// number has three digits, or all those before the point.
func number(f float64) string {
	switch {
	case f >= 100:
		return fmt.Sprintf("%.0f", f)
	case f >= 10:
		return fmt.Sprintf("%.1f", f)
	}
	return fmt.Sprintf("%.2f", f)
}

// percentiles are the 50th and the 99th, in milliseconds.
func percentiles(times []time.Duration) (p50, p99 float64) {
	if len(times) == 0 {
		return math.NaN(), math.NaN()
	}
	slices.Sort(times)
	at := func(part float64) float64 {
		return times[min(len(times)-1, int(part*float64(len(times))))].Seconds() * 1000
	}
	return at(0.50), at(0.99)
}
