package status

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/daemon-scheduler/cache"
	"github.com/blox/blox/daemon-scheduler/environment"
)

func TestVersions_CountTheTasksOfDeploymentsThatTheCacheDoesNotHaveYet(t *testing.T) {
	v := newVersions()
	of := func() int64 { tasks, _ := v.of("logs", "prod"); return tasks }
	v.taskChanged("d1")
	assert.Zero(t, of(), "no environment has the deployment")
	v.own(environment.Environment{Name: "logs", Deployments: map[string]environment.Deployment{"d1": {}, "d2": {}}})
	v.taskChanged("d1")
	v.taskChanged("d2")
	assert.Equal(t, int64(2), of())
	v.own(environment.Environment{Name: "logs", Deployments: map[string]environment.Deployment{"d2": {}}})
	v.taskChanged("d1")
	assert.Equal(t, int64(2), of(), "the environment no longer has the deployment")
	v.workloadChanged("logs")
	assert.Equal(t, int64(3), of())
	v.instanceChanged("prod")
	_, instances := v.of("logs", "prod")
	assert.Equal(t, int64(1), instances)
	v.disown("logs")
	assert.Empty(t, v.owners)
	assert.Empty(t, v.owned)
	assert.Empty(t, v.tasks)
}

func TestSummaryEntry_HoldsUntilAnInputChangesOrTimeDoes(t *testing.T) {
	now := time.Now()
	in := inputs{incarnation: 1, record: 2, cache: cache.Version{Generation: 1, Launches: 3, DrainOrders: 4}, tasks: 5}
	e := &summaryEntry{inputs: in, summary: &summary{}, recomputeAt: now.Add(time.Second)}
	assert.True(t, e.holds(in, now))
	assert.False(t, e.holds(in, now.Add(time.Second)), "time has changed it")
	for name, change := range map[string]func(*inputs){
		"incarnation": func(i *inputs) { i.incarnation++ },
		"record":      func(i *inputs) { i.record++ },
		"launches":    func(i *inputs) { i.cache.Launches++ },
		"data":        func(i *inputs) { i.cache.Generation++ },
		"tasks":       func(i *inputs) { i.tasks++ },
		"instances":   func(i *inputs) { i.instances++ },
		"phantoms":    func(i *inputs) { i.ignored++ },
	} {
		changed := in
		change(&changed)
		assert.False(t, e.holds(changed, now), name)
	}
	reordered := in
	reordered.cache.DrainOrders++
	assert.True(t, e.holds(reordered, now), "no instance drains")
	e.readsOrders = true
	assert.False(t, e.holds(reordered, now))
}

func TestSummaryEntry_AnOlderRecordReplacesANewerOneOnlyInOtherData(t *testing.T) {
	e := &summaryEntry{inputs: inputs{incarnation: 5, record: 9, cache: cache.Version{Generation: 1}}}
	same, restored := cache.Version{Generation: 1}, cache.Version{Generation: 2}
	assert.True(t, e.outdates(inputs{incarnation: 5, record: 8, cache: same}))
	assert.True(t, e.outdates(inputs{incarnation: 4, record: 9, cache: same}))
	assert.False(t, e.outdates(inputs{incarnation: 5, record: 9, cache: same}))
	assert.False(t, e.outdates(inputs{incarnation: 10, record: 10, cache: same}))
	assert.False(t, e.outdates(inputs{incarnation: 5, record: 8, cache: restored}))
}

func TestSummaries_ForgetThoseThatAreNotRead(t *testing.T) {
	v := newVersions()
	s := summaries{versions: &v, entries: map[string]*summaryEntry{}}
	now := time.Now()
	logs := s.entry("logs", now)
	v.own(environment.Environment{Name: "logs", Deployments: map[string]environment.Deployment{"d1": {}}})
	assert.Same(t, logs, s.entry("logs", now.Add(summaryRetention)))
	s.entry("other", now.Add(3*summaryRetention))
	assert.NotContains(t, s.entries, "logs")
	assert.Empty(t, v.owners)
	s.forget("other")
	assert.Empty(t, s.entries)
}
