package e2e

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/testenv"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// promotionMessage returns the message of the condition WaitingForPromotion; empty if it does not hold.
func (f *rollout) promotionMessage() string {
	for _, c := range f.getEnvironment("logs").Conditions {
		if *c.Type == "WaitingForPromotion" {
			return c.Message
		}
	}
	return ""
}

func TestCanarySteps_WidenTheCanaryUntilOneWaitsForAUser(t *testing.T) {
	t.Parallel()
	const n = 10
	f := newRollout(t, n, `{}`)
	id := f.deployPatch(`{"taskDefinition":"agent:2","deploymentConfiguration":{"minimumHealthyPercent":50,"canary":{"steps":[
		{"percent":20,"pauseMinutes":0},{"count":5},{"percent":70},{"percent":80}]}}}`)
	testenv.Eventually(t, func() bool { return f.runningTasks(id) == 5 && f.runningTasks(f.first) == n-5 },
		"the second step does not cover five instances")
	second := f.taskByInstance(id)
	progress := f.getDeployment("logs", id).CanaryProgress
	require.NotNil(t, progress)
	assert.Equal(t, &models.CanaryProgress{Step: 2, Steps: 4, Instances: "5 instances"}, progress)
	assert.Equal(t, "Step 2 of 4 (5 instances): the deployment continues when the step is promoted.", f.promotionMessage())
	testenv.Eventually(t, func() bool {
		var list models.Events
		f.mustSend("GET", "/v1/events?limit=1000", "", &list)
		return slices.ContainsFunc(list.Items, func(e *models.Event) bool {
			return *e.Action == "canaryStepPromoted" && strings.HasPrefix(e.Reason, "Step 1 of 4 (20% of the instances)")
		})
	}, "no event")

	promote := "/v1/environments/logs/deployments/" + id + "/promote"
	response, body := f.send("POST", promote+"?step=3", "")
	assert.Equal(t, http.StatusConflict, response.StatusCode, body)
	for _, parameters := range []string{"?step=0", "?step=x", "?full=maybe", "?full=true&step=2", "?other=1"} {
		response, body = f.send("POST", promote+parameters, "")
		assert.Equal(t, http.StatusBadRequest, response.StatusCode, "%s: %s", parameters, body)
	}
	for range 2 { // a repeated request promotes no other step
		f.mustSend("POST", promote+"?step=2", "", nil)
	}
	testenv.Eventually(t, func() bool { return f.runningTasks(id) == 7 }, "the third step does not cover seven instances")
	third := f.taskByInstance(id)
	for instance, task := range second {
		assert.Equal(t, task, third[instance], "a step keeps the instances of the one before")
	}
	assert.EqualValues(t, 3, f.getDeployment("logs", id).CanaryProgress.Step)
	var promoted models.Deployment
	f.mustSend("POST", promote+"?full=true", "", &promoted)
	assert.True(t, promoted.Promoted)
	assert.Nil(t, promoted.CanaryProgress)
	f.awaitState(id, "COMPLETED")
	f.awaitOneTaskEach(id, f.instances...)
	f.assertLimits(n-n/2, 0)
}

// The time of a step is in etcd. A new leader continues from it.
func TestCanarySteps_ContinueTheirTimeAfterAFailover(t *testing.T) {
	t.Parallel()
	f := newRollout(t, 3, `{}`)
	id := f.deployPatch(`{"taskDefinition":"agent:2","deploymentConfiguration":{"canary":{"steps":[
		{"count":1,"pauseMinutes":60},{"count":2}]}}}`)
	testenv.Eventually(t, func() bool {
		c := f.getDeployment("logs", id).CanaryProgress
		return c != nil && c.PromotesAt != nil && time.Until(time.Time(*c.PromotesAt)) > 50*time.Minute
	}, "the tasks of the step are not ready")
	assert.Contains(t, f.promotionMessage(), "Step 1 of 2 (1 instance): Blox promotes the step at 2")
	f.stop()

	got, err := f.client.Get(t.Context(), "ecs/environment/logs")
	require.NoError(t, err)
	var e environment.Environment
	require.NoError(t, json.Unmarshal(got.Kvs[0].Value, &e))
	d := e.Deployments[id]
	assert.Zero(t, d.CanaryProgress.PromotedSteps)
	d.CanaryProgress.ReadyFor = 59*time.Minute + 59*time.Second // as if the former leader had seen them for so long
	d.CanaryProgress.PromotesAt = time.Now().Add(time.Hour)     // people's time decides nothing
	e.Deployments[id] = d
	data, err := json.Marshal(e)
	require.NoError(t, err)
	f.putRecord("ecs/environment/logs", string(data))
	f.scheduler = f.startReplica(f.system)
	f.awaitReady()
	testenv.Eventually(t, func() bool { return f.runningTasks(id) == 2 }, "the second step does not begin")
	assert.EqualValues(t, 2, f.getDeployment("logs", id).CanaryProgress.Step)
}
