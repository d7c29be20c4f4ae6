package monitoring

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/blox/blox/internal/harness"
	"github.com/blox/blox/internal/testenv"
)

// shortened replaces the durations in the expressions of alerts that would take too long in a test.
var shortened = map[string][]string{ // by alert: old, new, …
	"BloxProbeFailing":                {"> 900", "> 8"},
	"BloxQueueNotReadable":            {"> 60", "> 25"}, // longer than a long poll
	"BloxEventsDelayed":               {"> 60", "> 1", "[5m]", "[20s]"},
	"BloxClusterReconcileFailing":     {"[25m]", "[20s]"},
	"BloxReconciliationOverdue":       {"> 3600", "> 15"},
	"BloxClusterStateStale":           {"> 60", "> 5"},
	"BloxEnvironmentReconcileFailing": {"[10m]", "[20s]"},
	"BloxThrottled":                   {"[10m]", "[20s]"},
	"BloxRolloutStuck":                {"> 1800", "> 2", "[30m]", "[5s]"},
	"BloxCanaryWaiting":               {"> 86400", "> 2"},
	"BloxEventDeliveryFailing":        {"> 900", "> 3"},
	"BloxEventsNotDelivered":          {"[1h]", "[20s]"},
}

// promServer is a running Prometheus with the alerts.
type promServer struct {
	t      *testing.T
	url    string
	client *http.Client
	fired  map[string]bool // alerts that were seen firing
	latest []string        // those of the latest fault
}

// startPrometheus runs Debian's Prometheus with the rules, each of which fires after a second. Targets are addresses by
// job.
func startPrometheus(t *testing.T, targets map[string]string) *promServer {
	t.Helper()
	path := testenv.Installed(t, "prometheus")
	dir, address := t.TempDir(), testenv.FreeAddress(t)
	file := readRules(t)
	for _, group := range file.Groups {
		for i := range group.Rules {
			r := &group.Rules[i]
			for from, to := range pairs(shortened[r.Alert]) {
				require.Contains(t, r.Expr, from, r.Alert)
				r.Expr = strings.ReplaceAll(r.Expr, from, to)
			}
			r.For = "1s"
		}
	}
	var jobs []any
	for job, target := range targets {
		jobs = append(jobs, map[string]any{
			"job_name": job, "static_configs": []any{map[string]any{"targets": []string{target}}},
		})
	}
	writeYAML(t, filepath.Join(dir, "alerts.yml"), file)
	writeYAML(t, filepath.Join(dir, "prometheus.yml"), map[string]any{
		"global":         map[string]string{"scrape_interval": "2s", "scrape_timeout": "2s", "evaluation_interval": "1s"},
		"rule_files":     []string{"alerts.yml"},
		"scrape_configs": jobs,
	})
	process := harness.NewProcess(harness.Config{
		Name: "prometheus", Path: path, Dir: dir, Args: []string{
			"--config.file=" + filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path=" + filepath.Join(dir, "data"),
			"--web.listen-address=" + address,
		},
	})
	require.NoError(t, process.Start())
	p := &promServer{t: t, url: "http://" + address, client: &http.Client{}, fired: map[string]bool{}}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("active alerts: %v", p.active())
		}
		process.Kill()
		p.client.CloseIdleConnections()
	})
	require.NoError(t, process.AwaitReady(t.Context(), p.url+"/-/ready", programTimeout))
	return p
}

// pairs yields every two neighbours of a list.
func pairs(list []string) func(yield func(from, to string) bool) {
	return func(yield func(from, to string) bool) {
		for pair := range slices.Chunk(list, 2) {
			if !yield(pair[0], pair[1]) {
				return
			}
		}
	}
}

func writeYAML(t *testing.T, path string, value any) {
	t.Helper()
	text, err := yaml.Marshal(value)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, text, 0o600))
}

// get decodes the data of an answer of Prometheus's API.
func (p *promServer) get(path string, data any) {
	p.t.Helper()
	request, err := http.NewRequest(http.MethodGet, p.url+path, nil) // the test may have ended: a cleanup uses it, too
	require.NoError(p.t, err)
	answer, err := p.client.Do(request)
	require.NoError(p.t, err)
	defer answer.Body.Close()
	require.NoError(p.t, json.NewDecoder(answer.Body).Decode(&struct {
		Data any `json:"data"`
	}{data}))
}

// query returns the value of an expression without labels; "" if it has none.
func (p *promServer) query(expr string) string {
	p.t.Helper()
	var data struct {
		Result []struct {
			Value [2]any `json:"value"`
		} `json:"result"`
	}
	p.get("/api/v1/query?query="+url.QueryEscape(expr), &data)
	if len(data.Result) == 0 {
		return ""
	}
	return data.Result[0].Value[1].(string)
}

// active returns the states of the alerts that are pending or firing, by name.
func (p *promServer) active() map[string]string {
	p.t.Helper()
	var data struct {
		Alerts []struct {
			Labels map[string]string `json:"labels"`
			State  string            `json:"state"`
		} `json:"alerts"`
	}
	p.get("/api/v1/alerts", &data)
	states := map[string]string{}
	for _, alert := range data.Alerts {
		if name := alert.Labels["alertname"]; states[name] != "firing" {
			states[name] = alert.State
		}
	}
	return states
}

// awaitFiring waits until each of the alerts has fired.
func (p *promServer) awaitFiring(alerts ...string) {
	p.t.Helper()
	for _, alert := range alerts {
		testenv.Eventually(p.t, func() bool { return p.active()[alert] == "firing" }, "%s does not fire", alert)
		p.fired[alert] = true
		p.latest = append(p.latest, alert)
		p.t.Logf("%s fires", alert)
	}
}

// awaitSilence waits until the alerts of the latest fault have ended; before the first fault, until no alert is active.
// Others may be active on a busy machine.
func (p *promServer) awaitSilence() {
	p.t.Helper()
	testenv.Eventually(p.t, func() bool {
		for alert := range p.active() {
			if len(p.fired) == 0 || slices.Contains(p.latest, alert) {
				return false
			}
		}
		return true
	}, "alerts do not end")
	p.latest = nil
}

func (p *promServer) assertAllFired() {
	p.t.Helper()
	for _, r := range readRules(p.t).rules() {
		assert.True(p.t, p.fired[r.Alert], "%s has no fault that makes it fire", r.Alert)
	}
}
