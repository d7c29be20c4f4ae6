package bench

import (
	"fmt"
	"io"
	"math"
	"runtime"
	"slices"
	"text/tabwriter"
	"time"
)

const mib = 1 << 20

// table collects the results.
type table struct{ rows []row }

// row is one figure and its baseline: the medians of several runs, and the median of each run's own ratio.
type row struct {
	section, name, unit string
	samples             []sample
	targets             []target
	// bound compares the figure with a program that does only the part of the work that cannot be spared. A missed target
	// counts as bound if the figure keeps this one. A nil met is no bound.
	bound        target
	boundSamples []sample
}

// sample is the result of one run. A baseline of NaN stands for none.
type sample struct{ measured, baseline float64 }

// single returns the samples of a figure that was measured once and has no baseline.
func single(v float64) []sample { return []sample{{v, math.NaN()}} }

// target is a bound that a figure has to keep.
type target struct {
	text string
	met  func(measured, ratio float64) bool
}

func atLeast(text string, bound float64) target {
	return target{text, func(measured, _ float64) bool { return measured >= bound }}
}

func below(text string, bound float64) target {
	return target{text, func(measured, _ float64) bool { return measured < bound }}
}

func ratioAtLeast(bound float64) target {
	return target{fmt.Sprintf("ratio %.2f", bound), func(_, ratio float64) bool { return ratio >= bound }}
}

func ratioBelow(bound float64) target {
	return target{fmt.Sprintf("ratio < %.2f", bound), func(_, ratio float64) bool { return ratio < bound }}
}

// add appends a row.
func (t *table) add(section, name, unit string, samples []sample, targets ...target) {
	t.rows = append(t.rows, row{section: section, name: name, unit: unit, samples: samples, targets: targets})
}

// addBound adds rows that compare the figure of the row before with a program that does only the part of the work that
// cannot be spared: the baseline of samples. The bound is a target for this ratio.
func (t *table) addBound(name, unit string, samples []sample, bound target) {
	last := &t.rows[len(t.rows)-1]
	last.bound, last.boundSamples = bound, samples
	t.add(last.section, name, unit, samples, bound)
}

func (t *table) print(out io.Writer) {
	fmt.Fprintf(out, "\n%s/%s, %d CPUs, shared by the services, etcd, the simulator and the load generator.\n"+
		"Values are medians; each ratio compares values of one run.\n"+
		"Bound: Blox misses the target, but keeps the target of the next row, which has only the unavoidable work.\n\n",
		runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "section\tfigure\tmeasured\tbaseline\tratio\ttarget\tmet")
	for _, r := range t.rows {
		r.print(w)
	}
	_ = w.Flush()
	fmt.Fprintln(out, "\nTo repeat one section: make bench RUN=<section>")
}

func (r row) print(out io.Writer) {
	measured, baseline, ratio := r.medians()
	targets, met := "-", "-"
	for i, t := range r.targets {
		if i == 0 {
			targets = t.text
			met = "yes"
		} else {
			targets += ", " + t.text
		}
		if !t.met(measured, ratio) {
			met = "no"
		}
	}
	if met == "no" && r.keepsBound() {
		met = "bound"
	}
	baselineText, ratioText := "-", "-"
	if !math.IsNaN(baseline) {
		baselineText = number(baseline) + " " + r.unit
		ratioText = fmt.Sprintf("%.2f", ratio)
	}
	fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
		r.section, r.name, number(measured)+" "+r.unit, baselineText, ratioText, targets, met)
}

// keepsBound reports whether the figure is as good as the part of the work that cannot be spared allows.
func (r row) keepsBound() bool {
	if r.bound.met == nil {
		return false
	}
	measured, _, ratio := row{samples: r.boundSamples}.medians()
	return r.bound.met(measured, ratio)
}

func (r row) medians() (measured, baseline, ratio float64) {
	column := func(value func(sample) float64) float64 {
		var values []float64
		for _, s := range r.samples {
			values = append(values, value(s))
		}
		return median(values)
	}
	measured = column(func(s sample) float64 { return s.measured })
	baseline = column(func(s sample) float64 { return s.baseline })
	ratio = column(func(s sample) float64 { return s.measured / s.baseline })
	return measured, baseline, ratio
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

// number formats f with three digits, or with all digits before the point if there are more.
func number(f float64) string {
	switch {
	case f >= 100:
		return fmt.Sprintf("%.0f", f)
	case f >= 10:
		return fmt.Sprintf("%.1f", f)
	}
	return fmt.Sprintf("%.2f", f)
}

// percentiles returns the 50th and the 99th percentile in milliseconds.
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

// latencySamples collects the percentiles of several runs.
type latencySamples struct{ p50, p99 []sample }

func (l *latencySamples) add(measured, baseline []time.Duration) {
	measuredP50, measuredP99 := percentiles(measured)
	baselineP50, baselineP99 := percentiles(baseline)
	l.p50 = append(l.p50, sample{measuredP50, baselineP50})
	l.p99 = append(l.p99, sample{measuredP99, baselineP99})
}
