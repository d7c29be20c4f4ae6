package monitoring

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/VictoriaMetrics/metricsql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// rule is an alerting rule of alerts.yml.
type rule struct {
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for,omitempty"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

// ruleFile is a file of Prometheus rules.
type ruleFile struct {
	Groups []struct {
		Name  string `yaml:"name"`
		Rules []rule `yaml:"rules"`
	} `yaml:"groups"`
}

func readRules(t *testing.T) (file ruleFile) {
	t.Helper()
	text, err := os.ReadFile("alerts.yml")
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(text, &file))
	require.NotEmpty(t, file.rules())
	return file
}

// rules returns the rules of all groups.
func (f ruleFile) rules() (all []rule) {
	for _, group := range f.Groups {
		all = append(all, group.Rules...)
	}
	return all
}

// expression is an expression and the labels that its place uses, in a legend or an annotation.
type expression struct {
	place, text string
	labels      []string
}

var (
	annotationLabel = regexp.MustCompile(`\$labels\.(\w+)`)
	legendLabel     = regexp.MustCompile(`\{\{\s*(\w+)\s*\}\}`)
	variable        = regexp.MustCompile(`\$\{?(\w+)\}?`)
)

// allExpressions returns those of all alerts, and of all dashboards with their variables replaced.
func allExpressions(t *testing.T) (all []expression) {
	t.Helper()
	for _, r := range readRules(t).rules() {
		e := expression{place: r.Alert, text: r.Expr}
		for _, annotation := range r.Annotations {
			for _, label := range annotationLabel.FindAllStringSubmatch(annotation, -1) {
				e.labels = append(e.labels, label[1])
			}
		}
		all = append(all, e)
	}
	for name, d := range readDashboards(t) {
		for _, p := range d.Panels {
			for _, target := range p.Targets {
				e := expression{place: name + ": " + p.Title, text: replaceVariables(target.Expr)}
				for _, label := range legendLabel.FindAllStringSubmatch(target.LegendFormat, -1) {
					e.labels = append(e.labels, label[1])
				}
				all = append(all, e)
			}
		}
	}
	return all
}

// replaceVariables replaces Grafana's variables as Grafana does: an interval, or a value of a label.
func replaceVariables(expr string) string {
	return variable.ReplaceAllStringFunc(expr, func(name string) string {
		if strings.Contains(name, "interval") {
			return "5m"
		}
		return "any"
	})
}

// Prometheus itself adds these series and labels.
var (
	prometheusSeries = map[string][]string{"up": nil, "ALERTS": {"alertname", "alertstate", "severity"}}
	targetLabels     = []string{"job", "instance"}
)

// checked is what an expression uses.
type checked struct {
	metrics  []string
	problems []string
}

// check compares the names and labels in an expression with the series that exist.
func check(e expression, series map[string][]string) (c checked) {
	parsed, err := metricsql.Parse(e.text)
	if err != nil {
		return checked{problems: []string{err.Error()}}
	}
	labels := slices.Clone(targetLabels)
	var grouping []string
	metricsql.VisitAll(parsed, func(part metricsql.Expr) {
		switch part := part.(type) {
		case *metricsql.MetricExpr:
			for _, filters := range part.LabelFilterss {
				c.metric(filters, series, &labels)
			}
		case *metricsql.AggrFuncExpr:
			grouping = append(grouping, part.Modifier.Args...)
		case *metricsql.BinaryOpExpr:
			grouping = append(grouping, part.GroupModifier.Args...)
			grouping = append(grouping, part.JoinModifier.Args...)
		}
	})
	for _, label := range append(grouping, e.labels...) {
		if !slices.Contains(labels, label) {
			c.problems = append(c.problems, "no metric of the expression has the label "+label)
		}
	}
	return c
}

// metric checks one selector and adds the labels of its series.
func (c *checked) metric(filters []metricsql.LabelFilter, series map[string][]string, labels *[]string) {
	if len(filters) == 0 || filters[0].Label != "__name__" {
		c.problems = append(c.problems, "a selector without the name of a metric")
		return
	}
	for _, name := range namesOf(filters[0], series) {
		known, exists := series[name]
		if ofPrometheus, added := prometheusSeries[name]; added {
			known, exists = ofPrometheus, true
		}
		if !exists {
			c.problems = append(c.problems, "no metric is named "+name)
			continue
		}
		c.metrics = append(c.metrics, name)
		*labels = append(*labels, known...)
		for _, filter := range filters[1:] {
			if !slices.Contains(append(slices.Clone(targetLabels), known...), filter.Label) {
				c.problems = append(c.problems, name+" has no label "+filter.Label)
			}
		}
	}
}

// namesOf returns the names of metrics that a filter of __name__ selects.
func namesOf(filter metricsql.LabelFilter, series map[string][]string) (names []string) {
	if !filter.IsRegexp {
		return []string{filter.Value}
	}
	pattern := regexp.MustCompile("^(?:" + filter.Value + ")$")
	for name := range series {
		if pattern.MatchString(name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return []string{filter.Value}
	}
	return names
}

// Every expression of the alerts and dashboards uses metrics and labels that Blox exports, and every metric of Blox is
// used: an unused metric is not worth its cost.
func TestExpressions_UseTheMetricsThatExist(t *testing.T) {
	series := exportedByBlox(t)
	used := map[string]bool{}
	for _, e := range allExpressions(t) {
		c := check(e, series)
		assert.Empty(t, c.problems, "%s: %s", e.place, e.text)
		for _, name := range c.metrics {
			used[name] = true
		}
	}
	for _, name := range bloxMetrics(series) {
		assert.True(t, used[name] || used[name+"_bucket"] || used[name+"_sum"], "no alert or dashboard uses %s", name)
	}
}

func TestCheck_FindsWrongNamesAndLabels(t *testing.T) {
	series := map[string][]string{"blox_a_total": {"outcome"}}
	for text, want := range map[string]string{
		`rate(blox_a_total{outcome="failed"}[5m]) > 0`:        "",
		`sum by (outcome, instance) (blox_a_total)`:           "",
		`sum without (instance) (blox_b_total)`:               "no metric is named blox_b_total",
		`blox_a_total{result="failed"}`:                       "blox_a_total has no label result",
		`sum by (result) (blox_a_total)`:                      "no metric of the expression has the label result",
		`blox_a_total and on (environment) blox_a_total`:      "no metric of the expression has the label environment",
		`{outcome="failed"}`:                                  "a selector without the name of a metric",
		`histogram_quantile(0.9, rate(blox_a_bucket[5m]))`:    "no metric is named blox_a_bucket",
		`{__name__=~"blox_(a|b)_total", outcome="succeeded"}`: "",
	} {
		got := check(expression{text: text}, series).problems
		if want == "" {
			assert.Empty(t, got, text)
		} else {
			assert.Equal(t, []string{want}, got, text)
		}
	}
	assert.NotEmpty(t, check(expression{text: "sum("}, series).problems)
	assert.NotEmpty(t, check(expression{text: "blox_a_total", labels: []string{"result"}}, series).problems)
}
