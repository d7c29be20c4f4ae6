package engine

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/cluster-state-service/informer"
	"github.com/blox/blox/daemon-scheduler/clusterstate"
	"github.com/blox/blox/internal/testenv"
)

// cssStub is a cluster-state-service that holds the container instances and tasks of the cluster "c".
type cssStub struct {
	mu        sync.Mutex
	version   int
	instances map[string]string // as the API shows them, by ARN
	tasks     map[string]string
	cluster   clusterstate.Cluster
}

// newClusterState returns the state of the cluster "c" with the instances i0 to i9.
func newClusterState(t *testing.T) *cssStub {
	s := &cssStub{version: 1, instances: map[string]string{}, tasks: map[string]string{}}
	for n := range 10 {
		s.set(fmt.Sprintf("i%d", n), "ACTIVE", true)
	}
	server := httptest.NewServer(s)
	clusterInformer, err := informer.New(informer.Config{Endpoints: []string{server.URL}, Log: testenv.Logger(t)})
	require.NoError(t, err)
	s.cluster = clusterstate.New(clusterInformer)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { assert.NoError(t, clusterInformer.Run(ctx)) })
	t.Cleanup(func() { cancel(); running.Wait(); server.Close() })
	testenv.Eventually(t, func() bool { return s.cluster.Fresh(time.Now()) })
	return s
}

func (s *cssStub) set(instance, status string, connected bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version++
	s.instances[instance] = fmt.Sprintf(`{"metadata":{"entityVersion":"%d"},"entity":{"clusterARN":"c",`+
		`"containerInstanceARN":%q,"status":%q,"agentConnected":%t,"attributes":[],"registeredResources":[],`+
		`"remainingResources":[],"versionInfo":{}}}`, s.version, instance, status, connected)
}

// change changes an instance and waits until the scheduler knows.
func (s *cssStub) change(t *testing.T, instance, status string, connected bool) {
	t.Helper()
	s.set(instance, status, connected)
	testenv.Eventually(t, func() bool {
		known := s.cluster.Informer.Instance(instance)
		return *known.Entity.Status == status && *known.Entity.AgentConnected == connected
	})
}

// changeTask changes a task of the deployment d on i1 and waits until the scheduler knows.
func (s *cssStub) changeTask(t *testing.T, arn, status string) {
	t.Helper()
	s.mu.Lock()
	s.version++
	s.tasks[arn] = fmt.Sprintf(`{"metadata":{"entityVersion":"%d"},"entity":{"clusterARN":"c","taskARN":%q,`+
		`"containerInstanceARN":"i1","createdAt":"2026-01-02T03:04:05Z","startedBy":"d","lastStatus":%q,`+
		`"desiredStatus":%q,"taskDefinitionARN":"agent:1","containers":[],"overrides":{"containerOverrides":[]}}}`, s.version, arn, status, status)
	s.mu.Unlock()
	testenv.Eventually(t, func() bool {
		known := s.cluster.Task(arn)
		return known != nil && *known.Entity.LastStatus == status
	})
}

// lines returns the lines of the tasks or of the instances.
func (s *cssStub) lines(ofTasks bool) (lines []string, heartbeat string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	records := s.instances
	if ofTasks {
		records = s.tasks
	}
	for _, line := range records {
		lines = append(lines, line)
	}
	return lines, fmt.Sprintf(`{"metadata":{"entityVersion":"%d"}}`, s.version)
}

func (s *cssStub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ofTasks := strings.HasSuffix(r.URL.Path, "/tasks")
	lines, heartbeat := s.lines(ofTasks)
	if !strings.HasPrefix(r.URL.Path, "/v1/stream/") {
		_, _ = fmt.Fprintf(w, `{"items":[%s],%s`, strings.Join(lines, ","), strings.TrimPrefix(heartbeat, "{"))
		return
	}
	for r.Context().Err() == nil {
		_, _ = fmt.Fprintln(w, strings.Join(append(lines, heartbeat), "\n"))
		_ = http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
		case <-time.After(5 * time.Millisecond):
		}
		lines, heartbeat = s.lines(ofTasks)
	}
}
