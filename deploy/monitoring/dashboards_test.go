package monitoring

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// dashboard is what the tests read of a Grafana dashboard.
type dashboard struct {
	UID           string   `json:"uid"`
	Title         string   `json:"title"`
	Description   string   `json:"description"`
	Tags          []string `json:"tags"`
	SchemaVersion int      `json:"schemaVersion"`
	Panels        []panel  `json:"panels"`
	Templating    struct {
		List []struct {
			Name       string `json:"name"`
			Type       string `json:"type"`
			Definition string `json:"definition"`
		} `json:"list"`
	} `json:"templating"`
}

type panel struct {
	ID          int                      `json:"id"`
	Type        string                   `json:"type"`
	Title       string                   `json:"title"`
	Description string                   `json:"description"`
	Datasource  map[string]string        `json:"datasource"`
	GridPos     struct{ H, W, X, Y int } `json:"gridPos"`
	Targets     []target                 `json:"targets"`
	FieldConfig struct {
		Defaults struct {
			Unit string `json:"unit"`
		} `json:"defaults"`
	} `json:"fieldConfig"`
}

type target struct {
	RefID        string            `json:"refId"`
	Expr         string            `json:"expr"`
	LegendFormat string            `json:"legendFormat"`
	Datasource   map[string]string `json:"datasource"`
}

// readDashboards returns the dashboards by the names of their files.
func readDashboards(t *testing.T) map[string]dashboard {
	t.Helper()
	paths, err := filepath.Glob("dashboards/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	all := map[string]dashboard{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		var d dashboard
		require.NoError(t, json.Unmarshal(text, &d), path)
		all[filepath.Base(path)] = d
	}
	return all
}

func TestDashboards_HaveASaneSchema(t *testing.T) {
	dashboards := readDashboards(t)
	uids := map[string]bool{}
	for name, d := range dashboards {
		assert.Equal(t, "blox-"+strings.TrimSuffix(name, ".json"), d.UID)
		assert.False(t, uids[d.UID], "two dashboards have the uid %s", d.UID)
		uids[d.UID] = true
		assert.NotEmpty(t, d.Title, name)
		assert.NotEmpty(t, d.Description, name)
		assert.Contains(t, d.Tags, "blox", name)
		assert.GreaterOrEqual(t, d.SchemaVersion, 36, "Grafana 9 or later does not migrate it: %s", name)
		ids := map[int]bool{}
		for i, p := range d.Panels {
			assert.False(t, ids[p.ID], "%s: two panels have the id %d", name, p.ID)
			ids[p.ID] = true
			assert.NotEmpty(t, p.Title, name)
			assert.LessOrEqual(t, p.GridPos.X+p.GridPos.W, 24, "%s: %s is outside the grid", name, p.Title)
			for _, other := range d.Panels[:i] {
				assert.False(t, overlap(p, other), "%s: %s covers %s", name, p.Title, other.Title)
			}
			if p.Type == "row" {
				continue
			}
			assert.Contains(t, []string{"timeseries", "stat", "table"}, p.Type, "%s: %s", name, p.Title)
			assert.NotEmpty(t, p.Description, "%s: %s", name, p.Title)
			assert.NotEmpty(t, p.FieldConfig.Defaults.Unit, "%s: %s", name, p.Title)
			assert.NotEmpty(t, p.Targets, "%s: %s", name, p.Title)
			want := map[string]string{"type": "prometheus", "uid": "${datasource}"}
			assert.Equal(t, want, p.Datasource, "%s: %s", name, p.Title)
			for _, one := range p.Targets {
				assert.Equal(t, want, one.Datasource, "%s: %s", name, p.Title)
			}
		}
	}
}

func overlap(a, b panel) bool {
	return a.GridPos.X < b.GridPos.X+b.GridPos.W && b.GridPos.X < a.GridPos.X+a.GridPos.W &&
		a.GridPos.Y < b.GridPos.Y+b.GridPos.H && b.GridPos.Y < a.GridPos.Y+a.GridPos.H
}

// Every variable in an expression is defined, and every variable is used.
func TestDashboards_DefineTheirVariables(t *testing.T) {
	series := exportedByBlox(t)
	for name, d := range readDashboards(t) {
		defined := map[string]bool{}
		for _, v := range d.Templating.List {
			defined[v.Name] = true
			inner, isQuery := strings.CutPrefix(v.Definition, "label_values(")
			if !isQuery {
				assert.Equal(t, "datasource", v.Type, "%s: %s", name, v.Name)
				continue
			}
			cut := strings.LastIndex(inner, ",")
			label := strings.TrimSpace(strings.TrimSuffix(inner[cut+1:], ")"))
			e := expression{text: replaceVariables(inner[:cut]), labels: []string{label}}
			assert.Empty(t, check(e, series).problems, "%s: %s", name, v.Definition)
		}
		assert.True(t, defined["datasource"], name)
		if name == "fleet.json" || name == "rollout.json" {
			for _, v := range []string{"environment", "cluster", "account", "region"} {
				assert.True(t, defined[v], "%s lacks $%s", name, v)
			}
		}
		used := map[string]bool{"datasource": true}
		for _, p := range d.Panels {
			for _, one := range p.Targets {
				for _, v := range variable.FindAllStringSubmatch(one.Expr, -1) {
					used[v[1]] = true
					assert.True(t, defined[v[1]] || strings.HasPrefix(v[1], "__"), "%s: $%s is not defined", name, v[1])
				}
			}
		}
		for v := range defined {
			assert.True(t, used[v], "%s: $%s is not used", name, v)
		}
	}
}
