package robustness

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/ecssim"
)

// The rules have tests of their own; this one shows that changes, launch records and deployments reach them.
func TestRolloutCheck_ReportsAStopBelowTheMinimum(t *testing.T) {
	sim := ecssim.New(ecssim.Config{Changes: 1000})
	defer sim.Close()
	simServer := httptest.NewServer(ecssim.NewCloud(sim))
	defer simServer.Close()
	definition := sim.RegisterTaskDefinition("agent")
	deployments := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"items": []map[string]string{
			{"id": "d1", "rolloutState": "COMPLETED", "taskDefinition": definition},
		}})
	}))
	defer deployments.Close()
	s := &system{history: newTestHistory(t), http: &http.Client{}, places: allPlaces[:1]}
	s.sim = &simulator{client: s.http, url: simServer.URL, places: s.places, at: home}
	defer s.http.CloseIdleConnections()
	operator, err := newOperator(t.Context(), strings.TrimPrefix(simServer.URL, "http://"), s.places)
	require.NoError(t, err)
	users := newUserClient(s)
	users.environments = []*userEnvironment{{
		name: "agent", cluster: home.clusterARN("default"), created: true, maxTasks: 2, minimumHealthy: 100,
	}}
	instance := sim.AddInstances("default", 1)[0]
	started, err := operator.in(instance).ecs.StartTask(t.Context(), &ecs.StartTaskInput{
		TaskDefinition: new("agent"), ContainerInstances: []string{instance}, StartedBy: new("d1"),
	})
	require.NoError(t, err)
	task := *started.Tasks[0].TaskArn
	c := newRolloutCheck(s, users, config{})
	c.checkObserved()
	assert.Equal(t, 1, s.history.violationCount(), "nothing was observed")
	s.history = newTestHistory(t)
	address := strings.TrimPrefix(deployments.URL, "http://")
	c.observe(t.Context(), address)
	c.checkObserved()
	assert.Zero(t, s.history.violationCount())

	c.receiveLaunch([]byte(`{"State":"replacing","Task":"` + task + `"}`))
	_, err = operator.in(instance).ecs.StopTask(t.Context(), &ecs.StopTaskInput{
		Task: &task, Reason: new("blox: superseded task of environment agent"),
	})
	require.NoError(t, err)
	c.observe(t.Context(), address)
	assert.Equal(t, 1, s.history.violationCount(), "the environment starts first, and has no other task")
}
