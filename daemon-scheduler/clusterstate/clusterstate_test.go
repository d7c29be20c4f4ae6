package clusterstate

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/go-openapi/swag/conv"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/blox/blox/cluster-state-service/informer"
	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/internal/testenv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A cluster-state-service with one record of each kind, whose streams send one heartbeat and then nothing.
const (
	instances = `{"items":[{"metadata":{"entityVersion":"2"},"entity":{"clusterARN":"arn:aws:ecs:us-east-1:123456789012:cluster/prod",
		"containerInstanceARN":"arn:aws:ecs:us-east-1:123456789012:container-instance/prod/i1","status":"ACTIVE","agentConnected":true,
		"attributes":[{"name":"zone","value":"a"},{"name":"gpu","value":""}],"EC2InstanceID":"i-1","registeredResources":[],"remainingResources":[],"versionInfo":{}}}],"metadata":{"entityVersion":"3"}}`
	tasks = `{"items":[{"metadata":{"entityVersion":"3"},"entity":{"clusterARN":"arn:aws:ecs:us-east-1:123456789012:cluster/prod",
		"containerInstanceARN":"arn:aws:ecs:us-east-1:123456789012:container-instance/prod/i1","containers":[{"containerARN":"c1","name":"web","lastStatus":"STOPPED","exitCode":1,"reason":"out of memory","networkBindings":[]},
		{"containerARN":"c2","name":"log","lastStatus":"RUNNING","networkBindings":[]}],"startedBy":"me","pullStartedAt":"2026-01-02T03:04:05.7Z",
		"createdAt":"2026-01-02T03:04:05.678Z","startedAt":"2026-01-02T03:04:06Z","stoppedAt":"not a time","stoppedReason":"why",
		"desiredStatus":"STOPPED","lastStatus":"STOPPING","overrides":{"containerOverrides":[]},
		"taskARN":"arn:aws:ecs:us-east-1:123456789012:task/prod/t1","taskDefinitionARN":"td"}}],"metadata":{"entityVersion":"3"}}`
)

func TestCluster_ConvertsTheInformersRecords(t *testing.T) {
	mux := http.NewServeMux()
	for path, body := range map[string]string{"GET /v1/instances": instances, "GET /v1/tasks": tasks} {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) })
	}
	mux.HandleFunc("GET /v1/stream/", func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(`{"metadata":{"entityVersion":"3"}}` + "\n"))
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	css := httptest.NewServer(mux)
	defer css.Close()
	clusterInformer, err := informer.New(informer.Config{Endpoints: []string{css.URL}, Log: testenv.Logger(t)})
	require.NoError(t, err)
	c := Cluster{Informer: clusterInformer}
	assert.False(t, c.Fresh(time.Now()), "nothing is known yet")

	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- clusterInformer.Run(ctx) }()
	testenv.Eventually(t, func() bool { return c.Fresh(time.Now()) })
	cancel()
	require.NoError(t, <-ended)

	const prod = "arn:aws:ecs:us-east-1:123456789012:cluster/prod"
	i1 := "arn:aws:ecs:us-east-1:123456789012:container-instance/prod/i1"
	seen := c.Instances(prod)
	require.Len(t, seen, 1)
	zone, exists := seen[0].Attribute("zone")
	assert.True(t, exists)
	assert.Equal(t, "a", zone)
	_, exists = seen[0].Attribute("gpu")
	assert.True(t, exists)
	_, exists = seen[0].Attribute("other")
	assert.False(t, exists)
	one, found := c.Instance(i1)
	assert.True(t, found)
	assert.Equal(t, seen[0], one)
	_, found = c.Instance("another")
	assert.False(t, found)
	seen[0].Attributes = nil
	assert.Equal(t, environment.Instance{ARN: i1, Status: "ACTIVE", AgentConnected: true, EC2InstanceID: "i-1"}, seen[0])
	assert.Equal(t, []environment.Task{{
		ARN: "arn:aws:ecs:us-east-1:123456789012:task/prod/t1", Instance: i1, StartedBy: "me",
		LastStatus: "STOPPING", DesiredStatus: "STOPPED", StoppedReason: "why",
		PullStartedAt: time.Date(2026, 1, 2, 3, 4, 5, 700e6, time.UTC),
		Containers:    []environment.Container{{Name: "web", ExitCode: conv.Pointer(int64(1)), Reason: "out of memory"}},
		CreatedAt:     time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC),
		StartedAt:     time.Date(2026, 1, 2, 3, 4, 6, 0, time.UTC),
	}}, c.Tasks(prod, "me"))
	assert.Empty(t, c.Tasks("arn:aws:ecs:us-east-1:123456789012:cluster/other", "me"))
	assert.False(t, c.Fresh(time.Now().Add(MaxAge+time.Second)), "it was not heard of for too long")
}
