package ecssim

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"text/tabwriter"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"
)

const (
	callLatency    = 50 * time.Millisecond
	confirmTimeout = 40 * time.Second // Blox's default --start-confirm-timeout
	startWorkers   = 16
)

// starter starts one task on each instance, at ECS's published rates, and counts its calls.
type starter struct {
	t              *testing.T
	client         *ecs.Client
	changes, reads *rate.Limiter
	mu             sync.Mutex
	calls          map[string]int
	lost           int
}

func newStarter(t *testing.T, s *Sim) *starter {
	return &starter{
		t: t, client: ecs.NewFromConfig(inProcess(s)), changes: rate.NewLimiter(40, 100), reads: rate.NewLimiter(20, 100),
		calls: map[string]int{},
	}
}

// call waits for a token and makes a call.
func (w *starter) call(action string, tokens *rate.Limiter, do func(context.Context) error) error {
	assert.NoError(w.t, tokens.Wait(w.t.Context()))
	err := do(w.t.Context())
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls[action]++
	if err != nil {
		w.lost++
	}
	return err
}

// startTask starts tasks by StartTask. After a lost answer it waits, then queries each instance, and starts what is
// missing.
func (w *starter) startTask(instances []string) {
	err := w.call("StartTask", w.changes, func(ctx context.Context) error {
		out, err := w.client.StartTask(ctx, &ecs.StartTaskInput{
			TaskDefinition: aws.String("agent"), ContainerInstances: instances, StartedBy: aws.String("d"),
		})
		if err == nil {
			assert.Empty(w.t, out.Failures)
		}
		return err
	})
	if err == nil {
		return
	}
	time.Sleep(confirmTimeout)
	var missing []string
	for _, instance := range instances {
		if !w.runs(instance) {
			missing = append(missing, instance)
		}
	}
	if len(missing) > 0 {
		w.startTask(missing)
	}
}

// runs queries ECS for a task on an instance: ListTasks has no filter by startedBy and instance at once.
func (w *starter) runs(instance string) (found bool) {
	var listed *ecs.ListTasksOutput
	assert.NoError(w.t, w.call("ListTasks", w.reads, func(ctx context.Context) (err error) {
		listed, err = w.client.ListTasks(ctx, &ecs.ListTasksInput{ContainerInstance: &instance, Family: aws.String("agent")})
		return err
	}))
	if len(listed.TaskArns) == 0 {
		return false
	}
	assert.NoError(w.t, w.call("DescribeTasks", w.reads, func(ctx context.Context) error {
		out, err := w.client.DescribeTasks(ctx, &ecs.DescribeTasksInput{Tasks: listed.TaskArns})
		found = err == nil && len(out.Tasks) > 0 && *out.Tasks[0].StartedBy == "d"
		return err
	}))
	return found
}

// runTask starts a task by RunTask with a client token, and repeats the call after a lost answer.
func (w *starter) runTask(ec2ID string) {
	for {
		err := w.call("RunTask", w.changes, func(ctx context.Context) error {
			out, err := w.client.RunTask(ctx, &ecs.RunTaskInput{
				TaskDefinition: aws.String("agent"), LaunchType: types.LaunchTypeEc2, StartedBy: aws.String("d"),
				ClientToken: &ec2ID, PlacementConstraints: memberOf("ec2InstanceId == " + ec2ID),
			})
			if err == nil {
				assert.Empty(w.t, out.Failures)
			}
			return err
		})
		if err == nil {
			return
		}
	}
}

// startCost is what it took to start a task on each instance.
type startCost struct {
	calls, seconds string
	took           time.Duration
	total, lost    int
}

// measureStarts starts a task on each of n instances, under a fake clock.
func measureStarts(t *testing.T, n int, action string, lost float64) (cost startCost) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{APILimits: true, PendingDelay: time.Second, Seed: 1})
		defer s.Close()
		s.RegisterTaskDefinition("agent")
		s.AddInstances("default", n)
		s.SetFaults(Faults{
			Latency:       map[string]Duration{"ecs": Duration(callLatency)},
			LostResponses: map[string]float64{action: lost},
		})
		w := newStarter(t, s)
		work := make(chan []Instance)
		var workers sync.WaitGroup
		began := time.Now()
		for range startWorkers {
			workers.Go(func() {
				for batch := range work {
					w.startBatch(action, batch)
				}
			})
		}
		size := 1
		if action == "StartTask" {
			size = maxInstancesPerCall
		}
		all := s.Instances("default")
		for from := 0; from < n; from += size {
			work <- all[from:min(from+size, n)]
		}
		close(work)
		workers.Wait()
		cost = w.cost(time.Since(began))
		perInstance := map[string]int{}
		for _, task := range s.Tasks("default") {
			perInstance[task.InstanceARN]++
		}
		require.Len(t, perInstance, n)
		assert.Len(t, s.Tasks("default"), n, "one task on each instance")
		assert.Zero(t, s.Counters().Calls[action]["ThrottlingException"], "the client keeps to the published rate")
	})
	return cost
}

func (w *starter) startBatch(action string, batch []Instance) {
	if action == "RunTask" {
		w.runTask(batch[0].EC2InstanceID)
		return
	}
	var arns []string
	for _, i := range batch {
		arns = append(arns, i.ARN)
	}
	w.startTask(arns)
}

func (w *starter) cost(took time.Duration) startCost {
	c := startCost{took: took, lost: w.lost, seconds: strconv.FormatFloat(took.Seconds(), 'f', 1, 64)}
	for _, n := range w.calls {
		c.total += n
	}
	c.calls = fmt.Sprint(w.calls)
	return c
}

// The table of decision 004: calls and seconds, at ECS's published rates, to start one task on each instance.
func TestStartCost_OfStartTaskAndRunTask(t *testing.T) {
	sizes := []int{500}
	if !testing.Short() {
		sizes = append(sizes, 5000)
	}
	table := tabwriter.NewWriter(t.Output(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "instances\tanswers lost\tby\tcalls\tlost\tseconds")
	for _, n := range sizes {
		for _, lost := range []float64{0, 0.02} {
			costs := map[string]startCost{}
			for _, action := range []string{"StartTask", "RunTask"} {
				c := measureStarts(t, n, action, lost)
				fmt.Fprintf(table, "%d\t%.0f %%\t%s\t%s\t%d\t%s\n", n, lost*100, action, c.calls, c.lost, c.seconds)
				costs[action] = c
			}
			start, run := costs["StartTask"], costs["RunTask"]
			assert.Less(t, start.total, run.total, "StartTask takes fewer calls, its queries included")
			if lost == 0 {
				assert.Equal(t, n/maxInstancesPerCall, start.total)
				assert.Equal(t, n, run.total)
				assert.Less(t, start.took, run.took)
			} else {
				assert.GreaterOrEqual(t, start.took, confirmTimeout, "a lost answer of StartTask costs a wait")
				assert.Less(t, run.total, n+n/10, "a lost answer of RunTask costs one call")
			}
		}
	}
	require.NoError(t, table.Flush())
}
