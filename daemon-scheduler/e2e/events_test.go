package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

func TestEvents_ContainUserActions(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	w.sim.AddInstances("prod", 2)
	css, _ := w.startCSS("127.0.0.1:0")
	one, other := w.startScheduler(css), w.startScheduler(css)
	one.awaitReady()
	other.awaitReady()
	first := one.deploy(one.createEnvironment("logs"))
	one.awaitCompleted("logs", first)
	one.mustSend("POST", "/v1/environments/logs/resume", "", nil) // changes nothing
	one.mustSend("POST", "/v1/environments/logs/pause", "", nil)
	other.mustSend("POST", "/v1/environments/logs/pause", "", nil) // changes nothing
	other.mustSend("POST", "/v1/environments/logs/resume", "", nil)
	w.sim.RegisterTaskDefinition("agent", ecssim.WithCPU(64), ecssim.WithMemory(64))
	var e models.Environment
	one.mustSend("PATCH", "/v1/environments/logs?deploymentToken="+one.getEnvironment("logs").DeploymentToken,
		`{"taskDefinition":"agent:2","deploymentConfiguration":{"canary":{"percent":50},"bakeTimeInMinutes":60}}`, &e)
	second := one.deploy(e)
	one.mustSend("POST", "/v1/environments/logs/deployments/"+second+"/promote", "", nil)
	other.mustSend("POST", "/v1/environments/logs/deployments/"+second+"/stop?type=ABORT", "", nil)
	var rollback models.Deployment
	one.mustSend("POST", "/v1/environments/logs/rollback", "", &rollback)
	one.mustSend("DELETE", "/v1/environments/logs?stopTasks=true", "", nil)
	one.mustSend("DELETE", "/v1/environments/logs?stopTasks=true", "", nil) // changes nothing
	one.createEnvironment("metrics")
	one.mustSend("DELETE", "/v1/environments/metrics", "", nil)
	one.mustSend("DELETE", "/v1/environments/metrics", "", nil) // changes nothing

	want := []string{
		"deploymentCreated logs " + first + " agent:1", "deploymentCreated logs " + second + " agent:2",
		"deploymentPromoted logs " + second + " agent:2", "deploymentStopped logs " + second + " agent:2",
		"environmentCreated logs  agent:1", "environmentCreated metrics  agent:2",
		"environmentDeleted metrics  ", "environmentDeletionRequested logs  ", "environmentPaused logs  ",
		"environmentResumed logs  ", "environmentUpdated logs  agent:2",
		"rollbackRequested logs " + *rollback.ID + " agent:1",
	}
	slices.Sort(want)
	for _, d := range []*scheduler{one, other} {
		testenv.Eventually(t, func() bool {
			var list models.Events
			d.mustSend("GET", "/v1/events?limit=1000", "", &list)
			var events []string
			for _, event := range list.Items {
				switch *event.Action {
				case "environmentCreated", "environmentUpdated", "deploymentCreated", "environmentPaused", "environmentResumed",
					"deploymentPromoted", "deploymentStopped", "rollbackRequested", "environmentDeletionRequested":
				case "environmentDeleted":
					if *event.Environment == "logs" {
						continue // the leader may record it once the tasks have stopped
					}
				default:
					continue
				}
				events = append(events, fmt.Sprint(*event.Action, " ", *event.Environment, " ", event.Deployment, " ",
					event.TaskDefinition[strings.LastIndex(event.TaskDefinition, "/")+1:]))
			}
			slices.Sort(events)
			return assert.ObjectsAreEqual(want, events)
		}, "the events are not %v", want)
	}
}

// The audit trail names who changed an environment, and each setting before and after.
func TestEvents_NameTheActorAndTheChanges(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	w.sim.AddInstances("prod", 1)
	d := w.startServices()
	d.createEnvironment("logs")
	d.patch("logs", `{"drainOrder":3,"deploymentConfiguration":{"maxUnavailable":2,"canary":{"percent":10}}}`)
	d.patch("logs", `{"drainOrder":null,"deploymentConfiguration":{"canary":{"percent":20}}}`)
	d.patch("logs", `{"deploymentConfiguration":{"canary":{"percent":20}}}`) // changes nothing

	var list models.Events
	testenv.Eventually(t, func() bool {
		list = models.Events{}
		d.mustSend("GET", "/v1/events?environment=logs", "", &list)
		return len(list.Items) == 3
	}, "the events are %v", &list)
	changes := func(e *models.Event) (all []string) {
		for _, c := range e.Changes {
			all = append(all, *c.Field+" "+c.Before+">"+c.After)
		}
		return all
	}
	assert.Equal(t, []string{"deploymentConfiguration.canary.percent 10>20", "drainOrder 3>"}, changes(list.Items[0]))
	assert.Equal(t, []string{
		"deploymentConfiguration.canary.percent >10", "deploymentConfiguration.maxUnavailable >2", "drainOrder >3",
	}, changes(list.Items[1]))
	assert.Equal(t, "environmentCreated", *list.Items[2].Action)
	assert.Contains(t, changes(list.Items[2]), "taskDefinition >"+w.agent)
	for _, e := range list.Items {
		assert.Regexp(t, `^127\.0\.0\.1:\d+$`, e.Actor)
	}
}
