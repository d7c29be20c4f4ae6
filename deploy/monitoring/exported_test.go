package monitoring

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/cmd/blox/probe"
	"github.com/blox/blox/internal/docs"
	"github.com/blox/blox/internal/etcd/embedded"
	"github.com/blox/blox/internal/version"
)

// recorder is a registry that records the descriptions of all metrics, those without a series included.
type recorder struct {
	*prometheus.Registry

	mu           sync.Mutex
	labels       map[string][]string // by the metric's name
	descriptions map[string]docs.Metric
}

func newRecorder() *recorder {
	return &recorder{
		Registry: prometheus.NewRegistry(), labels: map[string][]string{}, descriptions: map[string]docs.Metric{},
	}
}

// Register implements prometheus.Registerer.
func (r *recorder) Register(c prometheus.Collector) error {
	r.describe(c)
	return r.Registry.Register(c)
}

// MustRegister implements prometheus.Registerer.
func (r *recorder) MustRegister(collectors ...prometheus.Collector) {
	for _, c := range collectors {
		r.describe(c)
	}
	r.Registry.MustRegister(collectors...)
}

var descriptionPattern = regexp.MustCompile(
	`^Desc\{fqName: "([^"]+)", help: "(.*)", constLabels: \{(.*)\}, variableLabels: \{(.*)\}\}$`)

var constLabelPattern = regexp.MustCompile(`(\w+)="(?:[^"\\]|\\.)*"`)

func (r *recorder) describe(c prometheus.Collector) {
	descriptions := make(chan *prometheus.Desc)
	go func() { defer close(descriptions); c.Describe(descriptions) }()
	r.mu.Lock()
	defer r.mu.Unlock()
	for d := range descriptions {
		parts := descriptionPattern.FindStringSubmatch(d.String())
		if parts == nil {
			panic("unknown form of a description: " + d.String())
		}
		var labels []string
		for _, constant := range constLabelPattern.FindAllStringSubmatch(parts[3], -1) {
			labels = append(labels, constant[1])
		}
		if parts[4] != "" {
			labels = append(labels, strings.Split(parts[4], ",")...)
		}
		r.labels[parts[1]] = labels
		help, err := strconv.Unquote(`"` + parts[2] + `"`)
		if err != nil {
			panic("the help of a description: " + d.String())
		}
		r.descriptions[parts[1]] = docs.Metric{Name: parts[1], Type: typeOf(c, parts[1]), Labels: labels, Help: help}
	}
}

// typeOf returns the type of a metric without a series. The names of counters, and of counters alone, end with _total.
func typeOf(c prometheus.Collector, name string) string {
	switch c.(type) {
	case *prometheus.HistogramVec, prometheus.Observer:
		return "histogram"
	}
	if strings.HasSuffix(name, "_total") {
		return "counter"
	}
	return "gauge"
}

// exported returns the labels of every time series that the registries export, by name, as Prometheus stores them.
func exported(t *testing.T, registries ...*recorder) map[string][]string {
	t.Helper()
	series := map[string][]string{}
	for _, r := range registries {
		r.mu.Lock()
		maps.Copy(series, r.labels)
		r.mu.Unlock()
		families, err := r.Gather()
		require.NoError(t, err)
		for _, family := range families {
			described := r.descriptions[family.GetName()]
			described.Type = strings.ToLower(family.GetType().String())
			r.descriptions[family.GetName()] = described
			if name := family.GetName(); family.GetType().String() == "HISTOGRAM" {
				series[name+"_bucket"] = append(slices.Clone(series[name]), "le")
				series[name+"_sum"], series[name+"_count"] = series[name], series[name]
			}
		}
	}
	return series
}

// describedByBlox has the descriptions that exportedByBlox has found, by the page that shows them.
var describedByBlox map[string]map[string]docs.Metric

// exportedByBlox returns the series of both services, after they have started tasks, and of the probe.
var exportedByBlox = func() func(t *testing.T) map[string][]string {
	var mu sync.Mutex
	var known map[string][]string
	return func(t *testing.T) map[string][]string {
		t.Helper()
		mu.Lock()
		defer mu.Unlock()
		if known == nil {
			s := newSystem(t, embedded.Options{})
			s.sim.AddInstances("default", 2)
			s.startCSS()
			s.startDS()
			s.awaitCompleted(s.deploy())
			ofProbe := newRecorder()
			probe.NewMetrics(ofProbe, false)
			version.Register(ofProbe, "probe")
			describedByBlox = map[string]map[string]docs.Metric{
				"../../cluster-state-service/docs/reference/metrics.md": s.css.registry.descriptions,
				"../../daemon-scheduler/docs/reference/metrics.md":      s.ds.registry.descriptions,
				"../../cmd/blox/docs/reference/metrics.md":              ofProbe.descriptions,
			}
			known = exported(t, s.css.registry, s.ds.registry, ofProbe)
		}
		return known
	}
}()

// bloxMetrics returns the names of Blox's own metrics, without the suffixes of histograms.
func bloxMetrics(series map[string][]string) (names []string) {
	for _, name := range slices.Sorted(maps.Keys(series)) {
		_, bucket := series[strings.TrimSuffix(name, "_bucket")]
		_, sum := series[strings.TrimSuffix(name, "_sum")]
		_, count := series[strings.TrimSuffix(name, "_count")]
		derived := strings.HasSuffix(name, "_bucket") && bucket || strings.HasSuffix(name, "_sum") && sum ||
			strings.HasSuffix(name, "_count") && count
		if strings.HasPrefix(name, "blox_") && !derived {
			names = append(names, name)
		}
	}
	return names
}

func TestMetrics_FollowTheConventions(t *testing.T) {
	series := exportedByBlox(t)
	names := bloxMetrics(series)
	require.Greater(t, len(names), 80)
	for _, name := range names {
		assert.Regexp(t, `^blox_(css|ds|probe)_[a-z0-9_]+$|^blox_build_info$`, name)
		for _, label := range series[name] {
			assert.Regexp(t, `^[a-z][a-z0-9_]*$`, label, name)
		}
	}
}

// The pages of the reference describe every metric with its labels.
func TestReference_Metrics(t *testing.T) {
	exportedByBlox(t)
	for page, metrics := range describedByBlox {
		docs.CheckMetrics(t, page, metrics)
	}
}
