package monitoring

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/blox/blox/internal/testenv"
)

// programTimeout is long, because only a failing test waits for it.
const programTimeout = 5 * time.Minute

// promtool runs promtool and returns its output.
func promtool(t *testing.T, args ...string) (output string, err error) {
	t.Helper()
	path := testenv.Installed(t, "promtool")
	ctx, cancel := context.WithTimeout(t.Context(), programTimeout)
	defer cancel()
	written, err := exec.CommandContext(ctx, path, args...).CombinedOutput()
	return string(written), err
}

func TestRules_AreValid(t *testing.T) {
	output, err := promtool(t, "check", "rules", "alerts.yml")
	assert.NoError(t, err, output)
	output, err = promtool(t, "check", "config", "prometheus.yml")
	assert.NoError(t, err, output)
}

func TestRules_FireAndStaySilent(t *testing.T) {
	output, err := promtool(t, "test", "rules", "alerts_test.yml")
	assert.NoError(t, err, output)
}

// The parser of the other tests accepts more than Prometheus does.
func TestDashboards_ArePromQL(t *testing.T) {
	type recording struct {
		Record string `yaml:"record"`
		Expr   string `yaml:"expr"`
	}
	var rules []recording
	for _, e := range allExpressions(t) {
		rules = append(rules, recording{Record: "an:expression", Expr: e.text})
	}
	text, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "dashboards", "rules": rules}}})
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "dashboards.yml")
	require.NoError(t, os.WriteFile(path, text, 0o600))
	output, err := promtool(t, "check", "rules", "--lint=none", path)
	assert.NoError(t, err, output)
}

// Each alert has a unit test in which it fires, and one in which it does not.
func TestRules_AreTested(t *testing.T) {
	text, err := os.ReadFile("alerts_test.yml")
	require.NoError(t, err)
	var file struct {
		Tests []struct {
			Rules []struct {
				Alert    string `yaml:"alertname"`
				Expected []any  `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		} `yaml:"tests"`
	}
	require.NoError(t, yaml.Unmarshal(text, &file))
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, test := range file.Tests {
		for _, r := range test.Rules {
			if len(r.Expected) > 0 {
				fires[r.Alert] = true
			} else {
				silent[r.Alert] = true
			}
		}
	}
	for _, r := range readRules(t).rules() {
		assert.True(t, fires[r.Alert], "no unit test lets %s fire", r.Alert)
		assert.True(t, silent[r.Alert], "no unit test keeps %s silent", r.Alert)
	}
}

// Each alert says what is wrong, how bad that is, and where to read on; the runbook has a section for each.
func TestRules_LeadToTheRunbook(t *testing.T) {
	runbook, err := os.ReadFile("RUNBOOK.md")
	require.NoError(t, err)
	sections := map[string]string{} // by alert
	for _, section := range strings.Split(string(runbook), "\n### ")[1:] {
		name, text, _ := strings.Cut(section, "\n")
		text, _, _ = strings.Cut(text, "\n## ")
		sections[name] = text
	}
	for _, r := range readRules(t).rules() {
		assert.Contains(t, []string{"critical", "warning"}, r.Labels["severity"], r.Alert)
		for _, annotation := range []string{"summary", "description"} {
			assert.Regexp(t, `\.$`, r.Annotations[annotation], "%s: %s", r.Alert, annotation)
		}
		assert.Equal(t, "deploy/monitoring/RUNBOOK.md#"+strings.ToLower(r.Alert), r.Annotations["runbook_url"])
		for _, part := range []string{"**Meaning.**", "**Impact.**", "**Diagnosis.**", "**Remedy.**"} {
			assert.Contains(t, sections[r.Alert], part, "the runbook's section of %s", r.Alert)
		}
		delete(sections, r.Alert)
	}
	assert.Empty(t, sections, "sections without an alert")
}

// Metrics that the runbook names exist.
func TestRunbook_NamesMetricsThatExist(t *testing.T) {
	runbook, err := os.ReadFile("RUNBOOK.md")
	require.NoError(t, err)
	series := exportedByBlox(t)
	for _, name := range regexp.MustCompile(`\bblox_(?:css|ds|probe)_[a-z_]+`).FindAllString(string(runbook), -1) {
		if !strings.HasSuffix(name, "_") { // the start of a pattern for grep
			assert.Contains(t, series, name)
		}
	}
}
