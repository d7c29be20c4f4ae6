package ingest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus/hooks/test"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/testenv"
)

// sampleID is the id of the task of task-ec2-running.json, whose version is 3.
const sampleID = "1a2b3c4d5e6f47889900aabbccddeeff"

func sampleARN(id string) string { return "arn:aws:ecs:eu-west-1:123456789012:task/prod/" + id }

// runningEvent is the message of a RUNNING task's event, which was sent at the given time.
func runningEvent(t *testing.T, id string, sentAt time.Time) Message {
	at := sentAt.UTC().Format(time.RFC3339)
	return Message{ID: id, Body: testenv.Event(t, "task-ec2-running.json", sampleID, id,
		"2026-03-04T10:15:30Z", at, "2026-03-04T10:15:29.44Z", at)}
}

// simpleECS knows some tasks, by ARN; the value is the version.
type simpleECS struct {
	mu     sync.Mutex
	tasks  map[string]int64
	err    error
	behind time.Duration // ECS's clock is behind that of this machine
	calls  [][]string    // the ARNs of each call
}

func (e *simpleECS) Describe(
	_ context.Context, kind state.Kind, cluster string, arns []string,
) (d state.Description, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.calls = append(e.calls, arns)
	if e.err != nil {
		return d, e.err
	}
	d.At = time.Now().Add(-e.behind)
	for _, arn := range arns {
		key, err := state.NewKey(kind, cluster, arn)
		if err != nil {
			return d, err
		}
		if version, ok := e.tasks[arn]; ok {
			d.Found = append(d.Found, state.Record{Key: key, Version: version, Value: []byte("answer")})
		} else {
			d.Missing = append(d.Missing, arn)
		}
	}
	return d, nil
}

func (e *simpleECS) setError(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.err = err
}

// memory is a Recorder that keeps the newest version of each record.
type memory struct {
	mu      sync.Mutex
	records map[state.Key]state.Record
}

func (m *memory) Record(_ context.Context, records []state.Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range records {
		if m.records[r.Key].Version < r.Version {
			m.records[r.Key] = r
		}
	}
	return nil
}

func (m *memory) StoredVersion(key state.Key) state.StoredVersion {
	m.mu.Lock()
	defer m.mu.Unlock()
	return state.StoredVersion{Version: m.records[key].Version, Revision: m.records[key].Version}
}

// stored returns the value and version of each task, by id.
func (m *memory) stored() map[string]string {
	m.mu.Lock()
	defer m.mu.Unlock()
	values := map[string]string{}
	for key, r := range m.records {
		value := "event"
		if string(r.Value) == "answer" {
			value = "answer"
		}
		values[strings.TrimPrefix(key.ARN, sampleARN(""))] = fmt.Sprint(value, " ", r.Version)
	}
	return values
}

// verifyingWriter is a running Writer. The last reconciliation began at reconciledAt.
type verifyingWriter struct {
	*Writer
	ecs      *simpleECS
	memory   *memory
	registry *prometheus.Registry
	log      *test.Hook
}

func newVerifyingWriter(t *testing.T, reconciledAt time.Time) *verifyingWriter {
	log, logged := test.NewNullLogger()
	w := &verifyingWriter{
		ecs: &simpleECS{tasks: map[string]int64{}}, memory: &memory{records: map[state.Key]state.Record{}},
		registry: prometheus.NewRegistry(), log: logged,
	}
	w.Writer = NewWriter(WriterConfig{
		Recorder: w.memory, Log: log, Metrics: w.registry,
		Verification: Verification{
			Describer: w.ecs, StoredVersion: w.memory.StoredVersion,
			ReconciledAt: func(string) time.Time { return reconciledAt },
		},
	})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { assert.NoError(t, w.Run(ctx)) })
	t.Cleanup(func() { cancel(); running.Wait() })
	return w
}

// write writes messages and returns the ids of those done and of those deferred.
func (w *verifyingWriter) write(t *testing.T, messages ...Message) (done, deferred []string) {
	result, err := w.Write(t.Context(), messages)
	require.NoError(t, err)
	for _, m := range result.Done {
		done = append(done, m.ID)
	}
	for _, m := range result.Deferred {
		deferred = append(deferred, m.ID)
	}
	return done, deferred
}

func TestWriter_VerifiesOldEventsOfUnknownEntities(t *testing.T) {
	now := time.Now()
	reconciled := now.Add(-10 * time.Minute)
	old := now.Add(-5 * time.Hour)
	justBefore := reconciled.Add(9 * time.Minute) // with a reconciliation that began a moment ago
	for name, tc := range map[string]struct {
		event        Message
		inECS        map[string]int64 // by id: the version that ECS has
		stored       int64            // version; 0 for none
		reconciledAt time.Time
		want         map[string]string
		wantDeferred bool
		wantCalls    int
	}{
		"ECS does not know the task": {runningEvent(t, "a", old), nil, 0, reconciled, map[string]string{}, false, 1},
		"ECS's answer is stored": {
			runningEvent(t, "a", old), map[string]int64{"a": 7}, 0, reconciled, map[string]string{"a": "answer 7"}, false, 1,
		},
		"an event newer than ECS's answer is stored": {
			runningEvent(t, "a", old), map[string]int64{"a": 2}, 0, reconciled, map[string]string{"a": "event 3"}, false, 1,
		},
		"a known task needs no call": {
			runningEvent(t, "a", old), nil, 2, reconciled, map[string]string{"a": "event 3"}, false, 0,
		},
		"an event after the reconciliation needs no call": {
			runningEvent(t, "a", now), nil, 0, reconciled, map[string]string{"a": "event 3"}, false, 0,
		},
		"without a reconciliation nothing is old": {
			runningEvent(t, "a", old), nil, 0, time.Time{}, map[string]string{"a": "event 3"}, false, 0,
		},
		"a missing task may be younger than ECS's consistency": {
			runningEvent(t, "a", justBefore), nil, 0, now, map[string]string{}, true, 1,
		},
		"STOPPED creates no live record": {
			Message{ID: "a", Body: testenv.Event(t, "task-ec2-stopped.json", sampleID, "a")}, nil, 0, reconciled,
			map[string]string{"a": "event 6"}, false, 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newVerifyingWriter(t, tc.reconciledAt)
			for id, version := range tc.inECS {
				w.ecs.tasks[sampleARN(id)] = version
			}
			if tc.stored > 0 {
				key := state.Key{Kind: state.KindTask, Cluster: "prod", ARN: sampleARN("a")}
				w.memory.records[key] = state.Record{Key: key, Version: tc.stored}
			}
			done, deferred := w.write(t, tc.event)
			assert.Equal(t, tc.wantDeferred, len(deferred) == 1)
			assert.Equal(t, !tc.wantDeferred, len(done) == 1)
			assert.Equal(t, tc.want, w.memory.stored())
			assert.Len(t, w.ecs.calls, tc.wantCalls)
		})
	}
}

// This machine's clock is an hour ahead, so that a new event looks old. ECS's response does not contain the task yet.
func TestWriter_KeepsNewEventsThatAWrongClockMakesOld(t *testing.T) {
	const ahead = time.Hour
	w := newVerifyingWriter(t, time.Now())
	w.ecs.behind = ahead
	done, deferred := w.write(t, runningEvent(t, "a", time.Now().Add(-ahead)))
	assert.Empty(t, done)
	assert.Equal(t, []string{"a"}, deferred)
}

func TestWriter_CountsOutdatedEvents(t *testing.T) {
	w := newVerifyingWriter(t, time.Now().Add(-time.Minute))
	w.write(t, runningEvent(t, "a", time.Now().Add(-time.Hour)), runningEvent(t, "b", time.Now()))
	families, err := w.registry.Gather()
	require.NoError(t, err)
	counts := map[string]float64{} // by outcome
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				if family.GetName() == "blox_css_ingest_events_total" && label.GetName() == "outcome" {
					counts[label.GetValue()] = metric.GetCounter().GetValue()
				}
			}
		}
	}
	assert.Equal(t, map[string]float64{"outdated": 1, "recorded": 1}, counts)
}

func TestVerifier_DescribesManyEntitiesOfAClusterInOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, _ := test.NewNullLogger()
		ecs := &simpleECS{}
		v := newVerifier(Verification{Describer: ecs}, nil, log)
		finished := 0
		for n := range verifyBatchSize {
			event, err := Decode(runningEvent(t, fmt.Sprint("t", n/2), time.Now().Add(-time.Hour)).Body)
			require.NoError(t, err)
			v.events <- pendingEvent{event, func(o outcome) {
				assert.Equal(t, outcomeOutdated, o)
				finished++
			}}
		}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { v.run(ctx) })
		synctest.Wait()
		cancel()
		running.Wait()
		assert.Equal(t, verifyBatchSize, finished)
		require.Len(t, ecs.calls, 1)
		assert.Len(t, ecs.calls[0], verifyBatchSize/2, "each task once")
	})
}

// Events that need no verification pass while ECS fails, and ECS is not flooded.
func TestWriter_DefersOldEventsWhileECSFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newVerifyingWriter(t, time.Now())
		w.ecs.setError(errors.New("ECS is unavailable"))
		old := time.Now().Add(-time.Hour)
		for n := range 600 {
			done, deferred := w.write(t, runningEvent(t, "a", old), runningEvent(t, fmt.Sprint("new", n), time.Now()))
			assert.Equal(t, []string{fmt.Sprint("new", n)}, done)
			assert.Equal(t, []string{"a"}, deferred)
			time.Sleep(100 * time.Millisecond)
		}
		assert.Len(t, w.memory.stored(), 600, "only new events are recorded")
		assert.Less(t, len(w.ecs.calls), 12, "calls back off")
		assert.Less(t, len(w.log.AllEntries()), 8, "a persisting failure is logged at growing intervals")

		w.ecs.setError(nil)
		time.Sleep(time.Minute)
		done, deferred := w.write(t, runningEvent(t, "a", old))
		assert.Equal(t, []string{"a"}, done)
		assert.Empty(t, deferred)
	})
}

// The ECS of one account does not answer. Events of another account do not wait for it.
func TestVerifier_AnAccountDoesNotWaitForAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, _ := test.NewNullLogger()
		v := newVerifier(Verification{Describer: silentECS{&simpleECS{}}}, nil, log)
		outcomes := map[string]outcome{}
		var mu sync.Mutex
		add := func(id, account string) {
			body := strings.ReplaceAll(string(runningEvent(t, id, time.Now().Add(-time.Hour)).Body), "123456789012", account)
			event, err := Decode([]byte(body))
			require.NoError(t, err)
			v.events <- pendingEvent{event, func(o outcome) {
				mu.Lock()
				defer mu.Unlock()
				outcomes[id] = o
			}}
		}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { v.run(ctx) })
		add("silent", silentAccount)
		add("other", "123456789012")
		synctest.Wait()
		mu.Lock()
		assert.Equal(t, map[string]outcome{"other": outcomeOutdated}, outcomes)
		mu.Unlock()
		time.Sleep(2 * verifyTimeout)
		add("silent2", silentAccount)
		add("another", "123456789012")
		synctest.Wait()
		cancel()
		running.Wait()
		assert.Equal(t, outcomeDeferred, outcomes["silent"])
		assert.Equal(t, outcomeOutdated, outcomes["another"], "the back-off is of one account")
	})
}

const silentAccount = "210987654321"

// silentECS does not answer about one account.
type silentECS struct{ *simpleECS }

func (e silentECS) Describe(
	ctx context.Context, kind state.Kind, cluster string, arns []string,
) (state.Description, error) {
	if strings.Contains(cluster, silentAccount) {
		<-ctx.Done()
		return state.Description{}, ctx.Err()
	}
	return e.simpleECS.Describe(ctx, kind, cluster, arns)
}

// Another replica reconciles that account, with its own access to ECS.
func TestWriter_RecordsEventsOfForeignClusters(t *testing.T) {
	w := newVerifyingWriter(t, time.Now())
	w.ecs.setError(fmt.Errorf("describe: %w", state.ErrForeignCluster))
	done, _ := w.write(t, runningEvent(t, "a", time.Now().Add(-time.Hour)))
	assert.Equal(t, []string{"a"}, done)
	assert.Equal(t, map[string]string{"a": "event 3"}, w.memory.stored())
}
