package e2e

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/testenv"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// overlap returns the condition of an environment that overlaps another one; nil without one.
func (d *scheduler) overlap(name string) *models.Condition {
	d.t.Helper()
	for _, c := range d.getEnvironment(name).Conditions {
		if *c.Type == "OverlapsEnvironment" {
			return c
		}
	}
	return nil
}

func TestConditions_WarnOfEnvironmentsThatRunTheSameDaemonOnAnInstance(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	w.sim.AddInstances("prod", 3)
	w.sim.RegisterTaskDefinition("other")
	d := w.startServices()
	d.awaitReady()
	create := func(name, definition, query string) models.Environment {
		var created models.Environment
		d.mustSend("POST", "/v1/environments", `{"name":"`+name+`","instanceGroup":{"cluster":"prod","query":"`+query+
			`"},"taskDefinition":"`+definition+`"}`, &created)
		return created
	}
	first := d.deploy(create("first", "agent", ""))
	d.awaitCompleted("first", first)
	other := d.deploy(create("other", "other", ""))
	d.awaitCompleted("other", other)
	apart := d.deploy(create("apart", "agent", "attribute:gpu exists"))
	d.awaitCompleted("apart", apart)
	assert.Nil(t, d.overlap("first"))

	w.sim.RegisterTaskDefinition("agent") // another revision of the family
	second := create("second", "agent:2", "ec2InstanceId exists")
	assert.Nil(t, d.overlap("first"), "nothing of it is deployed")
	id := d.deploy(second)
	testenv.Eventually(t, func() bool { return d.overlap("first") != nil && d.overlap("second") != nil })
	onFirst, onSecond := d.overlap("first"), d.overlap("second")
	assert.Equal(t, "Tasks of agent also run for second, on 3 instances of this environment.", onFirst.Message)
	assert.Equal(t, "Tasks of agent also run for first, on 3 instances of this environment.", onSecond.Message)
	assert.Equal(t, "SameTaskDefinitionFamily", *onFirst.Reason)
	assert.Equal(t, d.getDeployment("second", id).CreatedAt, onFirst.LastTransitionTime)
	assert.Equal(t, onFirst.LastTransitionTime, onSecond.LastTransitionTime)
	assert.Nil(t, d.overlap("other"))
	assert.Nil(t, d.overlap("apart"))
	assert.Equal(t, 2.0, d.metric("blox_ds_environment_conditions", `type="OverlapsEnvironment"`))

	answer, body := d.send("DELETE", "/v1/environments/second", "")
	require.Equal(t, 200, answer.StatusCode, body)
	testenv.Eventually(t, func() bool { return d.overlap("first") == nil })
}
