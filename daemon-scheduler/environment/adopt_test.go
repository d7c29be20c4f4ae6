package environment

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A new revision replaces tasks only if ECS would start other ones.
func TestAdopts_ComparesTaskDefinitionAndTaskSettings(t *testing.T) {
	base := Spec{
		TaskDefinition: "arn:td:1",
		TaskSettings:   TaskSettings{Group: "g", Tags: []Tag{{Key: "team", Value: "a"}}},
	}
	full := 100
	for name, tc := range map[string]struct {
		change func(*Spec)
		want   bool
	}{
		"the drain order":       {func(s *Spec) { s.DrainOrder = 3 }, true},
		"the query":             {func(s *Spec) { s.Query = "agentConnected == true" }, true},
		"the attributes":        {func(s *Spec) { s.Attributes = []Attribute{{Name: "a"}} }, true},
		"the readiness":         {func(s *Spec) { s.ReadinessAttribute = "ready" }, true},
		"the scale-in":          {func(s *Spec) { s.ScaleInAfterMinutes = 5 }, true},
		"the configuration":     {func(s *Spec) { s.DeploymentConfiguration.MaximumPercent = &full }, true},
		"the task definition":   {func(s *Spec) { s.TaskDefinition = "arn:td:2" }, false},
		"a tag":                 {func(s *Spec) { s.TaskSettings.Tags = []Tag{{Key: "team", Value: "b"}} }, false},
		"the group":             {func(s *Spec) { s.TaskSettings.Group = "" }, false},
		"the network":           {func(s *Spec) { s.TaskSettings.Network = &AwsVpcConfiguration{Subnets: []string{"s"}} }, false},
		"ECS Exec of the tasks": {func(s *Spec) { s.TaskSettings.EnableExecuteCommand = true }, false},
	} {
		t.Run(name, func(t *testing.T) {
			e := Create("logs", "arn:cluster", token1, base, now)
			e = completed(must(t)(e.Deploy(first, token1, now)), first, now)
			changed := base
			tc.change(&changed)
			e = must(t)(e.Update(changed, token1, token2, now))
			assert.Equal(t, 2, e.LatestRevision().Number)
			e = must(t)(e.Deploy(second, token2, now))
			assert.Equal(t, tc.want, e.Adopts(e.Deployments[second], first))

			withoutHash := e
			withoutHash.Deployments = map[string]Deployment{}
			for id, d := range e.Deployments {
				d.TaskSettingsHash = ""
				withoutHash.Deployments[id] = d
			}
			assert.Equal(t, tc.want, withoutHash.Adopts(withoutHash.Deployments[second], first),
				"the kept revisions give the same result")

			e = must(t)(e.Redeploy(third, token2, Redeployment{Force: true}, token3, now))
			assert.False(t, e.Adopts(e.Deployments[third], first), "a forced deployment replaces all tasks")
		})
	}
}

func TestAdopts_SameRevision(t *testing.T) {
	e := completed(updated(t, Spec{}), second, now)
	again := must(t)(e.Redeploy(third, token2, Redeployment{Revision: 2}, token3, now))
	assert.False(t, again.Adopts(again.Deployments[third], second), "a new deployment of the revision replaces its tasks")

	withV03 := read(t, v03)
	withV03 = must(t)(withV03.Update(Spec{TaskDefinition: "arn:td:1", DrainOrder: 1}, token1, token2, now))
	withV03 = must(t)(withV03.Deploy(third, token2, now))
	assert.True(t, withV03.Adopts(withV03.Deployments[third], first), "v0.3's tasks have no settings")
}

// Daemons must not restart because Blox removed the revision that started them.
func TestAdopts_TasksOfARevisionThatIsNoLongerKept(t *testing.T) {
	e := Create("logs", "arn:cluster", token1, Spec{TaskDefinition: "arn:td:1"}, now)
	e = completed(must(t)(e.Deploy(first, token1, now)), first, now)
	for n := range maxRevisions + 2 {
		id := fmt.Sprintf("%08d-0000-4000-8000-000000000000", n)
		e = must(t)(e.Update(Spec{TaskDefinition: "arn:td:1", DrainOrder: n + 1}, e.Token, id, now))
		e = completed(must(t)(e.Deploy(id, id, now)), id, now)
	}
	current, _ := e.Current()
	_, err := e.Revision(1)
	require.ErrorIs(t, err, ErrRevisionNotFound)
	assert.True(t, e.Adopts(current, first))
}

func TestUpdate_WithoutADifferenceChangesNothing(t *testing.T) {
	spec := Spec{TaskDefinition: "arn:td:1", DrainOrder: 3, TaskSettings: TaskSettings{Group: "g"}}
	e := Create("logs", "arn:cluster", token1, spec, now)
	assert.Equal(t, e, must(t)(e.Update(spec, token1, token2, now)))
	legacy := read(t, v03)
	before, err := json.Marshal(legacy)
	require.NoError(t, err)
	after, err := json.Marshal(must(t)(legacy.Update(Spec{TaskDefinition: "arn:td:1"}, token1, token2, now)))
	require.NoError(t, err)
	assert.JSONEq(t, string(before), string(after))
	_, err = e.Update(spec, token2, token3, now)
	assert.ErrorIs(t, err, ErrUpdateTokenOutdated, "an outdated token is refused all the same")
}
