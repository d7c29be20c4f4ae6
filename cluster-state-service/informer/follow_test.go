package informer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/testenv"
)

func TestInformer_IgnoresLinesThatAreNotNewer(t *testing.T) {
	service := newCSS(t, []string{listed(10, task("a", 9), task("b", 10))}, func(s stream) {
		s.send(task("b", 10), task("a", 8), deleted("a", 9), deleted("c", 10)) // of one transaction, or late
		s.send(task("c", 11), task("a", 11), task("c", 11))
		s.send(deleted("b", 12), deleted("b", 12), heartbeat(15))
		s.beats(15)
	})
	m, changes := run(t, service)
	changes.are(t,
		Change{ARN: "a", Relisted: true}, Change{ARN: "b", Relisted: true},
		Change{ARN: "c"}, Change{ARN: "a"}, Change{ARN: "b", Deleted: true})
	assert.Len(t, m.Tasks(prod), 2)
	assert.Nil(t, m.Task(taskARN("b")))
	assert.Equal(t, "11", *m.Task(taskARN("a")).Metadata.EntityVersion)
	assert.Empty(t, m.Tasks(prod+"uction"))
}

func TestInformer_ResumesBrokenStream(t *testing.T) {
	service := newCSS(t, []string{listed(10)},
		func(s stream) { s.send(task("a", 12)) }, // then the stream ends
		func(s stream) {
			s.send(task("a", 12), task("b", 12))
			_, _ = io.WriteString(s.w, task("c", 13)[:50]) // the connection breaks within a line
			_ = http.NewResponseController(s.w).Flush()
			panic(http.ErrAbortHandler)
		},
		func(s stream) { s.send(heartbeat(20)) },
		func(s stream) { s.beats(20) },
	)
	_, changes := run(t, service)
	service.requestsAre(t, "list", "10", "12", "12", "20")
	changes.are(t, Change{ARN: "a"}, Change{ARN: "b"})
}

func TestInformer_ListsAgainIfItCannotResume(t *testing.T) {
	for name, end := range map[string]func(stream){
		"out of range":    func(s stream) { http.Error(s.w, "Entity version is out of range", http.StatusBadRequest) },
		"an error line":   func(s stream) { s.send(`{"metadata":{"entityVersion":"10"},"error":"the reader is too slow"}`) },
		"no JSON":         func(s stream) { s.send(`{"metadata":`) },
		"no version":      func(s stream) { s.send(`{"metadata":{}}`) },
		"no ARN":          func(s stream) { s.send(`{"metadata":{"entityVersion":"12"},"entity":{}}`) },
		"an endless line": func(s stream) { s.send(strings.Repeat("x", maxLineBytes+1)) },
	} {
		t.Run(name, func(t *testing.T) {
			service := newCSS(t, []string{
				listed(10, task("a", 9), task("b", 9), task("c", 9)), listed(20, task("a", 11), task("c", 9), task("d", 18)),
			}, end, func(s stream) { s.beats(20) })
			m, changes := run(t, service)
			service.requestsAre(t, "list", "10", "list", "20")
			changes.are(t,
				Change{ARN: "a", Relisted: true}, Change{ARN: "b", Relisted: true}, Change{ARN: "c", Relisted: true},
				Change{ARN: "b", Deleted: true, Relisted: true}, Change{ARN: "a", Relisted: true}, Change{ARN: "d", Relisted: true})
			assert.Len(t, m.Tasks(prod), 3)
		})
	}
}

func TestInformer_LeavesSilentReplica(t *testing.T) {
	silent := newCSS(t, []string{listed(10, task("a", 9))}, func(s stream) {
		s.send(task("b", 11))
		<-s.left.Done()
	})
	other := newCSS(t, []string{"unused"}, func(s stream) { s.beats(11) })
	cfg := Config{Endpoints: []string{silent.URL, other.URL}, Log: testenv.Logger(t)}
	m, err := New(cfg)
	require.NoError(t, err)
	m.readTimeout = 100 * time.Millisecond
	m.minDelay = time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	other.requestsAre(t, "11")
	cancel()
	assert.NoError(t, <-ended)
	silent.requestsAre(t, "list", "10")
}

func TestInformer_RejectsMalformedList(t *testing.T) {
	for name, bad := range map[string]string{
		"cut":        listed(10, task("a", 9))[:200],
		"no version": `{"items":[]}`,
		"null":       `null`,
		"not JSON":   "Not yet reconciled with ECS",
	} {
		t.Run(name, func(t *testing.T) {
			service := newCSS(t, []string{bad, listed(10, task("b", 9))}, func(s stream) { s.beats(10) })
			_, changes := run(t, service)
			changes.are(t, Change{ARN: "b", Relisted: true})
			service.requestsAre(t, "list", "list", "10")
		})
	}
}

// A malformed record in a list or a stream is skipped and counted. It hides no other record.
func TestInformer_SkipsMalformedRecords(t *testing.T) {
	lacking := func(id string, version int) string {
		return strings.Replace(task(id, version), `"lastStatus":"RUNNING",`, "", 1)
	}
	mistyped := strings.Replace(task("e", 9), `"createdAt":""`, `"createdAt":7`, 1)
	service := newCSS(t, []string{listed(10, task("a", 9), `{"metadata":{"entityVersion":"9"}}`, lacking("b", 9), mistyped, task("c", 9))},
		func(s stream) {
			s.send(task("d", 11), lacking("a", 12), mistyped, task("f", 13))
		},
		func(s stream) { s.beats(13) })
	m, changes := run(t, service)
	changes.are(t, Change{ARN: "a", Relisted: true}, Change{ARN: "c", Relisted: true},
		Change{ARN: "d"}, Change{ARN: "a", Deleted: true}, Change{ARN: "f"})
	service.requestsAre(t, "list", "10", "13")
	n, last := m.Skipped()
	assert.Equal(t, 5, n)
	assert.WithinDuration(t, time.Now(), last, time.Minute)
	assert.Len(t, m.Tasks(prod), 3)
	assert.Nil(t, m.Task(taskARN("a")), "the copy drops the outdated version")
}

func TestInformer_TasksStartedBy(t *testing.T) {
	by := func(who, task string) string {
		return strings.Replace(task, `"containers":[]`, `"containers":[],"startedBy":"`+who+`"`, 1)
	}
	list := listed(10, by("me", task("a", 9)), by("you", task("b", 9)), task("c", 9))
	service := newCSS(t, []string{list}, func(s stream) {
		s.send(by("me", task("d", 11)), by("you", task("a", 12)), deleted("b", 13))
		s.send(by("me", task("e", 14)), deleted("e", 15), heartbeat(15))
		s.beats(15)
	})
	m, _ := run(t, service)
	of := func(who string) (arns []string) {
		for _, task := range m.TasksStartedBy(who) {
			arns = append(arns, *task.Entity.TaskARN)
		}
		return arns
	}
	testenv.Eventually(t, func() bool { return len(of("me")) == 1 && of("me")[0] == taskARN("d") })
	assert.Equal(t, []string{taskARN("a")}, of("you"))
	assert.Empty(t, of(""))
	assert.Empty(t, of("unknown"))
}

func TestInformer_ReadsLongLines(t *testing.T) {
	large := strings.Replace(task("a", 11), `"RUNNING"`, `"`+strings.Repeat("x", 2<<20)+`"`, 1)
	service := newCSS(t, []string{listed(10)}, func(s stream) { s.send(large); s.beats(11) })
	m, changes := run(t, service)
	changes.are(t, Change{ARN: "a"})
	assert.Len(t, *m.Task(taskARN("a")).Entity.DesiredStatus, 2<<20)
}

func TestInformer_Age(t *testing.T) {
	beat := make(chan struct{})
	service := newCSS(t, []string{listed(10)}, func(s stream) {
		s.send(task("a", 11)) // a change does not confirm that the copy is complete
		<-beat
		s.send(heartbeat(11))
		<-s.left.Done()
	})
	m, changes := run(t, service)
	changes.are(t, Change{ARN: "a"})
	testenv.Eventually(t, m.Synced)
	atList := m.tasks.currentAt()
	assert.GreaterOrEqual(t, m.Age(atList.Add(time.Minute)), time.Minute)
	close(beat)
	testenv.Eventually(t, func() bool { return m.Age(atList.Add(time.Minute)) < time.Minute })

	empty, err := New(Config{Endpoints: []string{"localhost:3000"}})
	require.NoError(t, err)
	assert.False(t, empty.Synced())
	assert.Equal(t, time.Duration(math.MaxInt64), empty.Age(time.Now()))
	assert.Zero(t, empty.ReconciledAt())
}

func TestFollower_RetryDelay(t *testing.T) {
	f := &follower[struct{}]{Informer: &Informer{minDelay: 100 * time.Millisecond, endpoints: []string{"a", "b"}}}
	for failures, longest := range []time.Duration{100, 100, 200, 200, 400, 400, 800, 800, 1600} {
		f.failures = failures
		wait := f.retryDelay(io.EOF)
		assert.LessOrEqual(t, wait, longest*time.Millisecond)
		assert.GreaterOrEqual(t, wait, longest*time.Millisecond/2)
	}
	f.failures = 1000
	assert.GreaterOrEqual(t, f.retryDelay(io.EOF), maxRetryDelay/2)
	assert.LessOrEqual(t, f.retryDelay(io.EOF), maxRetryDelay)
	f.failures = 0
	asked := fmt.Errorf("list: %w", &statusError{status: 503, retryAfter: time.Second})
	assert.GreaterOrEqual(t, f.retryDelay(asked), time.Second)
	unavailable := fmt.Errorf("list: %w", &statusError{status: 503, retryAfter: time.Hour})
	assert.LessOrEqual(t, f.retryDelay(unavailable), 2*maxRetryDelay)
}

func BenchmarkDecodeList(b *testing.B) {
	for _, n := range []int{100, 10_000} {
		tasks := make([]string, n)
		for i := range tasks {
			tasks[i] = task(fmt.Sprintf("%032d", i), i+1)
		}
		body := listed(n, tasks...)
		b.Run(fmt.Sprintf("tasks=%d", n), func(b *testing.B) {
			for b.Loop() {
				if list, _, err := decodeList(strings.NewReader(body), readTask, nil); err != nil || len(list) != n {
					b.Fatal(len(list), err)
				}
			}
			b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "tasks/s")
		})
	}
}

func TestNew_RejectsInvalidConfig(t *testing.T) {
	for want, cfg := range map[string]Config{
		"no endpoint": {},
		`endpoint "": must be host:port or a URL`:                    {Endpoints: []string{""}},
		`endpoint "ftp://a": must be host:port or a URL`:             {Endpoints: []string{"a:3000", "ftp://a"}},
		`endpoint "http://a/?cluster=b": must be host:port or a URL`: {Endpoints: []string{"http://a/?cluster=b"}},
		"heartbeat 1.5s": {Endpoints: []string{"a:3000"}, Heartbeat: 1500 * time.Millisecond},
		"heartbeat 10m":  {Endpoints: []string{"a:3000"}, Heartbeat: 10 * time.Minute},
	} {
		_, err := New(cfg)
		want = strings.Replace(want, `": m`, `" of a cluster-state-service: m`, 1)
		assert.ErrorContains(t, err, want)
	}
	m, err := New(Config{Endpoints: []string{"css:3000", "https://css.example.com/prod/"}})
	require.NoError(t, err)
	assert.Equal(t, []string{"http://css:3000", "https://css.example.com/prod"}, m.endpoints)
}

func TestSubscribe_StopEndsSubscription(t *testing.T) {
	m, err := New(Config{Endpoints: []string{"localhost:3000"}})
	require.NoError(t, err)
	var a, b []string
	stopA := m.Subscribe(func(c Change) { a = append(a, c.ARN) })
	stopB := m.Subscribe(func(c Change) { b = append(b, c.ARN) })
	m.subscribers.notify(Change{ARN: "1"})
	stopA()
	m.subscribers.notify(Change{ARN: "2"})
	stopB()
	stopB()
	m.subscribers.notify(Change{ARN: "3"})
	assert.Equal(t, []string{"1"}, a)
	assert.Equal(t, []string{"1", "2"}, b)
}

func TestGet_ReturnsStatusError(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "Not yet reconciled with ECS", http.StatusServiceUnavailable)
	}))
	defer server.Close()
	m, err := New(Config{Endpoints: []string{server.URL}})
	require.NoError(t, err)
	defer m.client.CloseIdleConnections()
	_, err = m.get(t.Context(), server.URL+"/v1/tasks")
	var refused *statusError
	require.True(t, errors.As(err, &refused))
	assert.Equal(t, statusError{503, "Not yet reconciled with ECS", time.Second}, *refused)
	assert.EqualError(t, err, "status 503: Not yet reconciled with ECS")
}
