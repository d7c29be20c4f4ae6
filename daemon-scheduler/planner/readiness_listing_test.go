package planner

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/daemon-scheduler/environment"
)

// The record says that the attribute is set, and the listing has the values in ECS.
func TestPlanReadiness_ComparesWithECS(t *testing.T) {
	recorded, unchanged := attribute(environment.AttributeSet), map[string]int64{"i1": 7}
	absent, present := map[string]string{}, map[string]string{"i1": "true"}
	set := []string{"set ready on i1"}
	connected := environment.Instance{ARN: "i1", Status: "ACTIVE", AgentConnected: true}
	away := environment.Instance{ARN: "i1", Status: "ACTIVE"}
	for name, row := range map[string]struct {
		instance environment.Instance
		record   environment.ReadinessAttribute
		values   map[string]string
		versions map[string]int64 // of the record before ECS listed it
		want     []string
	}{
		"ECS has it":                          {connected, recorded, present, unchanged, nil},
		"it was removed":                      {connected, recorded, absent, unchanged, set},
		"its value was changed":               {connected, recorded, map[string]string{"i1": "no"}, unchanged, set},
		"the agent is away":                   {away, recorded, absent, unchanged, nil},
		"it was set after ECS listed it":      {connected, recorded, absent, map[string]int64{"i1": 6}, nil},
		"it had no record when ECS listed it": {connected, recorded, absent, nil, nil},
		"another call may still remove it": {
			connected, attribute(environment.AttributeSet, time.Second), absent, unchanged, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := ReadinessState{
				Cluster: "arn:cluster/prod", Environments: []environment.Environment{naming("logs", "ready")},
				Attributes: []environment.ReadinessAttribute{row.record}, Fresh: true,
				Instances: []environment.Instance{row.instance}, Tasks: []environment.Task{task("t1", "logs", "RUNNING")},
				Listings: map[string]AttributeListing{"ready": {row.values, row.versions}},
				Now:      now, ConfirmTimeout: time.Minute,
			}
			assert.Equal(t, row.want, readinessTexts(PlanReadiness(s)))
		})
	}
}
