package api

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/cluster-state-service/cache"
	"github.com/blox/blox/cluster-state-service/state"
)

func TestChangeType_ComparesTheEntityBeforeAndAfterWithTheFilter(t *testing.T) {
	tasks := taskLists
	tasks.api, tasks.matches = &api{cache: cache.New(cache.Config{})}, (*state.Filter).MatchesTask
	key := state.Key{Kind: state.KindTask, Cluster: "prod", ARN: "arn:aws:ecs:eu-west-1:123456789012:task/prod/1"}
	running, stopped := &state.TaskSummary{LastStatus: "RUNNING"}, &state.TaskSummary{LastStatus: "STOPPED"}
	const onlyRunning = "status=running"
	create := func(t *state.TaskSummary) cache.Change { return cache.Change{Entity: t, Created: true} }
	update := func(from, to *state.TaskSummary) cache.Change { return cache.Change{Entity: to, Previous: from} }
	for name, tc := range map[string]struct {
		query  string
		change cache.Change
		want   changeType
	}{
		"a new entity is added":                       {"", create(running), added},
		"a changed entity is modified":                {"", update(stopped, running), modified},
		"a deleted entity is deleted":                 {"", cache.Change{Deleted: true, Previous: stopped}, deleted},
		"another cluster's entity is left out":        {"cluster=x", create(running), ""},
		"the cluster's entity is not":                 {"cluster=prod", create(running), added},
		"an entity that enters the filter is added":   {onlyRunning, update(stopped, running), added},
		"an entity that leaves the filter is deleted": {onlyRunning, update(running, stopped), deleted},
		"an entity outside is left out":               {onlyRunning, update(stopped, stopped), ""},
		"an entity inside is modified":                {onlyRunning, update(running, running), modified},
		"a new entity outside is left out":            {onlyRunning, create(stopped), ""},
		"a deletion outside is left out":              {onlyRunning, cache.Change{Deleted: true, Previous: stopped}, ""},
		"a deletion inside is deleted":                {onlyRunning, cache.Change{Deleted: true, Previous: running}, deleted},
		"an unknown entity before may be inside":      {onlyRunning, cache.Change{Entity: stopped}, deleted},
		"an unknown entity before is modified":        {onlyRunning, cache.Change{Entity: running}, modified},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := parseStreamOptions(state.KindTask, state.TaskFilters, tc.query)
			require.NoError(t, err)
			tc.change.Key = key
			assert.Equal(t, tc.want, tasks.changeType(&o.filter, o.selective, tc.change))
		})
	}
}

// A thousand streams filter a thousand changes a second.
func TestChangeType_AllocatesNothing(t *testing.T) {
	tasks := resource[state.TaskSummary]{kind: state.KindTask, matches: (*state.Filter).MatchesTask}
	tasks.api = &api{cache: cache.New(cache.Config{})}
	arn := "arn:aws:ecs:us-east-1:123456789012:task/other/1"
	change := cache.Change{
		Key: state.Key{Kind: state.KindTask, Cluster: "other", ARN: arn}, Entity: &state.TaskSummary{LastStatus: "RUNNING"},
	}
	for _, query := range []string{"", "cluster=default", "status=RUNNING", "cluster=other&status=STOPPED"} {
		o, err := parseStreamOptions(state.KindTask, state.TaskFilters, query)
		require.NoError(t, err)
		assert.Zero(t, testing.AllocsPerRun(100, func() { tasks.changeType(&o.filter, o.selective, change) }), query)
	}
}
