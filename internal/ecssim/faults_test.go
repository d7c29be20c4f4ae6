package ecssim

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"
	awshttp "github.com/aws/smithy-go/transport/http"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// retrying is the SDK's standard retryer without its pauses.
func retrying(attempts int) func(*aws.Config) {
	return func(c *aws.Config) {
		c.Retryer = func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) {
				o.MaxAttempts = attempts
				o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
				o.RateLimiter = noLimit{}
			})
		}
	}
}

type noLimit struct{}

func (noLimit) GetToken(context.Context, uint) (func() error, error) {
	return func() error { return nil }, nil
}
func (noLimit) AddTokens(uint) error { return nil }

func TestFaults_SDKRetriesThrottling(t *testing.T) {
	w := newFixture(t, Config{Faults: Faults{Throttle: map[string]float64{"ListClusters": 0.5, "sqs": 0.5}}}, retrying(30))
	for range 20 {
		_, err := w.ecs.ListClusters(w.ctx, &ecs.ListClustersInput{})
		require.NoError(t, err)
		_, err = w.sqs.ReceiveMessage(w.ctx, &sqs.ReceiveMessageInput{QueueUrl: w.queue})
		require.NoError(t, err)
		_, err = w.ecs.DescribeClusters(w.ctx, &ecs.DescribeClustersInput{})
		require.NoError(t, err)
	}
	calls := w.Counters().Calls
	assert.Equal(t, 20, calls["ListClusters"]["succeeded"])
	assert.Positive(t, calls["ListClusters"]["ThrottlingException"])
	assert.Positive(t, calls["ReceiveMessage"]["RequestThrottled"])
	assert.Equal(t, 20, w.Calls("DescribeClusters"), "not throttled")
	assert.Equal(t, 20+calls["ListClusters"]["ThrottlingException"], w.Calls("ListClusters"))
}

func TestFaults_ServerErrorsBeforeAndAfterTheCall(t *testing.T) {
	w := newFixture(t, Config{})
	w.RegisterTaskDefinition("agent")
	instances := w.AddInstances("default", 1)
	start := func() error {
		_, err := w.ecs.StartTask(w.ctx, &ecs.StartTaskInput{
			TaskDefinition: aws.String("agent"), ContainerInstances: instances, StartedBy: aws.String("d1"),
		})
		return err
	}
	w.SetFaults(Faults{ServerErrors: map[string]float64{"StartTask": 1}})
	require.ErrorAs(t, start(), new(*types.ServerException))
	assert.Empty(t, w.Tasks(""))
	w.SetFaults(Faults{LateServerErrors: map[string]float64{"ecs": 1}})
	require.ErrorAs(t, start(), new(*types.ServerException))
	assert.Len(t, w.Tasks(""), 1)
	w.SetFaults(Faults{LostResponses: map[string]float64{"StartTask": 1}})
	err := start()
	require.Error(t, err)
	var answer smithy.APIError
	assert.NotErrorAs(t, err, &answer, "the client receives no response")
	assert.Len(t, w.Tasks(""), 2, "both tasks started")
	assert.Equal(t, map[string]int{"ServerException": 2, "unknown": 1}, w.Counters().Calls["StartTask"])
	assert.Len(t, w.Counters().Violations, 1)
	w.SetFaults(Faults{})
	require.NoError(t, start())
}

// ECS completes a call although its client has left.
func TestFaults_LatencyOutlivesTheClient(t *testing.T) {
	w := newFixture(t, Config{Faults: Faults{Latency: map[string]Duration{"StartTask": Duration(300 * time.Millisecond)}}})
	w.RegisterTaskDefinition("agent")
	// An HTTP client may close its connection before it has sent the request, so the test writes to one of its own.
	client, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
	require.NoError(t, err)
	body := `{"taskDefinition":"agent","containerInstances":["` + w.AddInstances("default", 1)[0] + `"]}`
	request, err := http.NewRequestWithContext(w.ctx, http.MethodPost, w.url, strings.NewReader(body))
	require.NoError(t, err)
	request.Header.Set("X-Amz-Target", ecsTarget+"StartTask")
	require.NoError(t, request.Write(client))
	require.NoError(t, client.Close())
	w.eventually(func() bool { return len(w.Tasks("")) == 1 }, "the task starts")
}

func TestFaults_Outage(t *testing.T) {
	w := newFixture(t, Config{})
	w.SetDown("ecs", true)
	_, err := w.ecs.ListClusters(w.ctx, &ecs.ListClustersInput{})
	var answer *awshttp.ResponseError
	require.ErrorAs(t, err, &answer)
	assert.Equal(t, http.StatusServiceUnavailable, answer.HTTPStatusCode())
	w.AddInstances("default", 1)
	assert.Len(t, w.events(), 1, "SQS is up, and events are sent")
	w.SetDown("ecs", false)
	_, err = w.ecs.ListClusters(w.ctx, &ecs.ListClustersInput{})
	require.NoError(t, err)

	polled := make(chan error, 1)
	go func() {
		_, err := w.sqs.ReceiveMessage(w.ctx, &sqs.ReceiveMessageInput{QueueUrl: w.queue, WaitTimeSeconds: 20})
		polled <- err
	}()
	w.SetDown("sqs", true)
	require.ErrorAs(t, <-polled, &answer, "the long poll ends")
	assert.Equal(t, http.StatusServiceUnavailable, answer.HTTPStatusCode())
}

func TestFaults_Events(t *testing.T) {
	const n = 200
	var arns []string
	send := func(t *testing.T, faults EventFaults) ([]event, EventCounters) {
		w := newFixture(t, Config{Faults: Faults{Events: faults}, Seed: 7})
		arns = w.AddInstances("default", n)
		var all []event
		w.eventually(func() bool {
			all = append(all, w.events()...)
			return len(all) == w.Counters().Events.Emitted-w.Counters().Events.Dropped+w.Counters().Events.Duplicated
		}, "every event that is not dropped is sent")
		return all, w.Counters().Events
	}
	t.Run("none", func(t *testing.T) {
		all, count := send(t, EventFaults{})
		assert.Len(t, all, n)
		assert.Equal(t, EventCounters{Emitted: n, Sent: n}, count)
		for n, e := range all {
			assert.Equal(t, arns[n], e.Resources[0], "events are in order")
		}
	})
	t.Run("drop", func(t *testing.T) {
		all, count := send(t, EventFaults{Drop: 0.5})
		assert.InDelta(t, n/2, len(all), n/4)
		assert.Equal(t, n, count.Dropped+len(all))
	})
	t.Run("duplicate", func(t *testing.T) {
		all, count := send(t, EventFaults{Duplicate: 0.5})
		assert.Equal(t, n+count.Duplicated, len(all))
		assert.InDelta(t, n/2, count.Duplicated, n/4)
	})
	t.Run("delay all", func(t *testing.T) {
		all, count := send(t, EventFaults{Delay: 1, DelayBy: Duration(time.Millisecond)})
		assert.Len(t, all, n)
		assert.Equal(t, n, count.Delayed)
	})
	t.Run("reorder all", func(t *testing.T) {
		all, count := send(t, EventFaults{Reorder: 1})
		assert.Len(t, all, n, "held events are sent even if no other event overtakes them")
		assert.Equal(t, n, count.Reordered)
	})
}

func TestFaults_ReorderedEventsAreOvertaken(t *testing.T) {
	w := newFixture(t, Config{Faults: Faults{Events: EventFaults{Reorder: 0.3}}, Seed: 1})
	arns := w.AddInstances("default", 50)
	var order []string
	for len(order) < 50 {
		for _, e := range w.events() {
			order = append(order, e.Resources[0])
		}
	}
	assert.ElementsMatch(t, arns, order)
	assert.NotEqual(t, arns, order)
}

// With the same seed, each kind of fault draws the same values in every run, independent of the other kinds.
func TestFaults_SeedRepeats(t *testing.T) {
	draw := func(seed uint64, others int) (drawn []bool) {
		d := newFaultDraws(seed)
		for range 64 {
			for range others {
				d.hit("throttle", "ListTasks", 0.5)
			}
			drawn = append(drawn, d.hit("throttle", "StartTask", 0.5))
		}
		return drawn
	}
	assert.Equal(t, draw(1, 0), draw(1, 3))
	assert.NotEqual(t, draw(1, 0), draw(2, 0))
}

func TestFaults_Starts(t *testing.T) {
	w := newFixture(t, Config{Faults: Faults{StartFailures: 1}})
	w.RegisterTaskDefinition("agent")
	instances := w.AddInstances("default", 1)
	start := func() *ecs.StartTaskOutput {
		out, err := w.ecs.StartTask(w.ctx, &ecs.StartTaskInput{
			TaskDefinition: aws.String("agent"), ContainerInstances: instances,
		})
		require.NoError(t, err)
		return out
	}
	assert.Equal(t, "RESOURCE:MEMORY", *start().Failures[0].Reason)
	w.SetFaults(Faults{StartFailures: 1, StartFailureReason: "AGENT"})
	assert.Equal(t, "AGENT", *start().Failures[0].Reason)

	w.SetFaults(Faults{FailToRun: map[string]float64{"agent": 1}})
	failed := w.task(*start().Tasks[0].TaskArn)
	assert.Equal(t, "STOPPED", failed.LastStatus)
	assert.Equal(t, "TaskFailedToStart", failed.StopCode)
	assert.Nil(t, failed.ExitCode)

	w.SetFaults(Faults{Exits: map[string]Exit{"agent": {Fraction: 1, ExitCode: 139}}})
	dead := w.task(*start().Tasks[0].TaskArn)
	assert.Equal(t, "EssentialContainerExited", dead.StopCode)
	assert.Equal(t, 139, *dead.ExitCode)
	assert.False(t, dead.StartedAt.IsZero(), "the task ran before it exited")
	assert.Equal(t, 2048, w.Instances("")[0].RemainingCPU)
}

func TestFaults_RefuseCallsWithAnErrorAboutTheCaller(t *testing.T) {
	w := newFixture(t, Config{})
	w.SetFaults(Faults{Refusals: map[string]Refusal{
		"ecs": {Code: "ExpiredTokenException", Fraction: 1}, "ListTasks": {Code: "AccessDeniedException", Fraction: 1},
	}})
	for want, call := range map[string]func() error{
		"ExpiredTokenException": func() error {
			_, err := w.ecs.ListClusters(w.ctx, &ecs.ListClustersInput{})
			return err
		},
		"AccessDeniedException": func() error {
			_, err := w.ecs.ListTasks(w.ctx, &ecs.ListTasksInput{})
			return err
		},
	} {
		var api smithy.APIError
		require.ErrorAs(t, call(), &api)
		assert.Equal(t, want, api.ErrorCode())
	}
	_, err := w.sqs.ReceiveMessage(w.ctx, &sqs.ReceiveMessageInput{QueueUrl: w.queue})
	require.NoError(t, err, "the refusals are those of ECS")
	unknown := Faults{Refusals: map[string]Refusal{"StartTask": {Code: "NoSuchCode", Fraction: 1}}}
	require.ErrorContains(t, unknown.validate(), "NoSuchCode")
}

func TestFaults_RefuseTheCallsOfOneCluster(t *testing.T) {
	w := newFixture(t, Config{})
	secret := w.CreateCluster("secret")
	w.SetFaults(Faults{Refusals: map[string]Refusal{
		"ecs": {Code: "AccessDeniedException", Fraction: 1, Cluster: "secret"},
	}})
	list := func(cluster *string) error {
		_, err := w.ecs.ListTasks(w.ctx, &ecs.ListTasksInput{Cluster: cluster})
		return err
	}
	require.NoError(t, list(nil))
	for _, ref := range []string{"secret", secret} {
		require.ErrorContains(t, list(&ref), "AccessDeniedException")
	}
	_, err := w.ecs.DescribeClusters(w.ctx, &ecs.DescribeClustersInput{Clusters: []string{"default", secret}})
	require.ErrorContains(t, err, "AccessDeniedException")
	_, err = w.ecs.ListClusters(w.ctx, &ecs.ListClustersInput{})
	require.NoError(t, err)
}

func TestFaults_ExitHappensAfterItsDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{PendingDelay: time.Second, Faults: Faults{Exits: map[string]Exit{"web": {
			Fraction: 1, After: Duration(time.Minute), ExitCode: 1,
		}}}})
		defer s.Close()
		s.StartFargateTask("default", "web")
		time.Sleep(62 * time.Second) // PROVISIONING, PENDING, RUNNING
		synctest.Wait()
		assert.Equal(t, "STOPPED", s.Tasks("")[0].LastStatus)
		assert.Equal(t, time.Minute, s.Tasks("")[0].StoppedAt.Sub(s.Tasks("")[0].StartedAt))
	})
}

func TestFaults_ConsistencyLag(t *testing.T) {
	w := newFixture(t, Config{})
	w.RegisterTaskDefinition("agent")
	task := w.start("agent", "d1", w.AddInstances("default", 1)...)[0]
	list := func() []string {
		out, err := w.ecs.ListTasks(w.ctx, &ecs.ListTasksInput{StartedBy: aws.String("d1")})
		require.NoError(t, err)
		return out.TaskArns
	}
	w.SetFaults(Faults{ConsistencyLag: Duration(time.Hour)})
	assert.Empty(t, list())
	described, err := w.ecs.DescribeTasks(w.ctx, &ecs.DescribeTasksInput{Tasks: []string{task}})
	require.NoError(t, err)
	assert.Equal(t, "MISSING", *described.Failures[0].Reason)
	instances, err := w.ecs.ListContainerInstances(w.ctx, &ecs.ListContainerInstancesInput{})
	require.NoError(t, err)
	assert.Empty(t, instances.ContainerInstanceArns)
	w.SetFaults(Faults{})
	assert.Equal(t, []string{task}, list())
}

func TestFaults_JSON(t *testing.T) {
	faults := Faults{
		Throttle: map[string]float64{"StartTask": 0.1},
		Latency:  map[string]Duration{"ecs": Duration(1500 * time.Millisecond)},
		Events:   EventFaults{Delay: 0.5, DelayBy: Duration(time.Second)},
		Exits:    map[string]Exit{"a": {Fraction: 1, After: Duration(time.Minute)}},
	}
	text, err := json.Marshal(faults)
	require.NoError(t, err)
	assert.Contains(t, string(text), `"latency":{"ecs":"1.5s"}`)
	var back Faults
	require.NoError(t, json.Unmarshal(text, &back))
	assert.Equal(t, faults, back)

	s := New(Config{Faults: faults})
	defer s.Close()
	copied := s.Faults()
	copied.Throttle["StartTask"] = 1
	assert.Equal(t, 0.1, s.Faults().Throttle["StartTask"], "Faults returns a copy")
	for _, bad := range []string{`-1s`, `soon`, ``} {
		assert.Error(t, new(Duration).UnmarshalText([]byte(bad)), bad)
	}
	assert.Error(t, json.Unmarshal([]byte(fmt.Sprintf(`{"consistencyLag":%d}`, 5)), &back), "a number has no unit")
}
