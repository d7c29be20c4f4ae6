package monitoring

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/cmd/blox/probe"
	"github.com/blox/blox/internal/etcd/embedded"
	"github.com/blox/blox/internal/version"
)

// recorder is a registry that records the names and labels of all metrics, those without a series included.
type recorder struct {
	*prometheus.Registry

	mu     sync.Mutex
	labels map[string][]string // by the metric's name
}

func newRecorder() *recorder {
	return &recorder{Registry: prometheus.NewRegistry(), labels: map[string][]string{}}
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
	`^Desc\{fqName: "([^"]+)", help: ".*", constLabels: \{(.*)\}, variableLabels: \{(.*)\}\}$`)

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
		for _, constant := range constLabelPattern.FindAllStringSubmatch(parts[2], -1) {
			labels = append(labels, constant[1])
		}
		if parts[3] != "" {
			labels = append(labels, strings.Split(parts[3], ",")...)
		}
		r.labels[parts[1]] = labels
	}
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
			if name := family.GetName(); family.GetType().String() == "HISTOGRAM" {
				series[name+"_bucket"] = append(slices.Clone(series[name]), "le")
				series[name+"_sum"], series[name+"_count"] = series[name], series[name]
			}
		}
	}
	return series
}

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

// The pages describe every metric with all of its labels, and nothing that does not exist.
func TestMetrics_AreDocumentedWithTheirLabels(t *testing.T) {
	series := exportedByBlox(t)
	documented := regexp.MustCompile("`(blox_\\w+)(?:\\{([\\w,]+)\\})?`")
	readmes := map[string]string{
		"blox_css_": "../../cluster-state-service/README.md", "blox_ds_": "../../daemon-scheduler/README.md",
		"blox_probe_": "../../cmd/blox/docs/probe.md",
	}
	for prefix, path := range readmes {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		found := map[string]bool{}
		for _, m := range documented.FindAllStringSubmatch(string(text), -1) {
			found[m[1]] = true
			if !strings.HasPrefix(m[1], "blox_") || m[2] == "" {
				continue
			}
			assert.ElementsMatch(t, series[m[1]], strings.Split(m[2], ","), "%s: the labels of %s", path, m[1])
		}
		for _, name := range bloxMetrics(series) {
			if strings.HasPrefix(name, prefix) {
				assert.True(t, found[name], "%s does not list %s", path, name)
			}
		}
	}
}
