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
	one.mustSend("PATCH", "/v1/environments/logs?deploymentToken="+one.getEnvironment("logs").DeploymentToken.String(),
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
		"deploymentPromoted logs " + second + " agent:2", "deploymentStopped logs " + second + " agent:2",
		"environmentDeleted metrics  ", "environmentDeletionRequested logs  ", "environmentPaused logs  ",
		"environmentResumed logs  ",
		"rollbackRequested logs " + rollback.ID.String() + " agent:1",
	}
	for _, d := range []*scheduler{one, other} {
		testenv.Eventually(t, func() bool {
			var list models.Events
			d.mustSend("GET", "/v1/events?limit=1000", "", &list)
			var events []string
			for _, event := range list.Items {
				switch *event.Action {
				case "environmentPaused", "environmentResumed", "deploymentPromoted", "deploymentStopped", "rollbackRequested",
					"environmentDeletionRequested":
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
