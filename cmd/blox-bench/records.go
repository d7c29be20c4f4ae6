package main

import (
	"context"
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"
)

// Events of about 2 kB, as ECS sends them through EventBridge.
var (
	//go:embed task.json
	taskEvent string
	//go:embed instance.json
	instanceEvent string
)

// elsewhere is an account that the simulator is not: reconcile leaves its records alone.
const elsewhere = "999999999999"

const inCluster = 100 // container instances in one cluster

// starters is how many have started the tasks.
const starters = 100

func clusterName(n int) string { return "cluster-" + strconv.Itoa(n) }

// task is the event of a task on an instance, both given by number.
func task(n, instance, version int, status, startedBy string) string {
	return strings.NewReplacer("{account}", elsewhere, "{cluster}", clusterName(instance/inCluster), "{task}", id('a', n),
		"{instance}", id('b', instance), "{status}", status, "{startedBy}", startedBy, "{version}", strconv.Itoa(version)).Replace(taskEvent)
}

func id(kind rune, n int) string { return fmt.Sprintf("%c%031d", kind, n) }

func taskKey(n, instance int) string {
	cluster := clusterName(instance / inCluster)
	return "ecs/task/" + cluster + "/arn:aws:ecs:" + region + ":" + elsewhere + ":task/" + cluster + "/" + id('a', n)
}

// seed writes tasks and instances to etcd as the service would have, and that they were compared with ECS.
// It returns the bytes of keys and values.
func seed(ctx context.Context, etcd *clientv3.Client, tasks, instances int) (bytes int, err error) {
	var batch []clientv3.Op
	put := func(key, value string) error {
		batch = append(batch, clientv3.OpPut(key, value))
		bytes += len(key) + len(value)
		if len(batch) < 100 {
			return nil
		}
		_, err := etcd.Txn(ctx).Then(batch...).Commit()
		batch = nil
		return err
	}
	for n := range instances {
		cluster := clusterName(n / inCluster)
		value := strings.NewReplacer("{account}", elsewhere, "{cluster}", cluster, "{instance}", id('b', n)).Replace(instanceEvent)
		if err := put("ecs/instance/"+cluster+"/arn:aws:ecs:"+region+":"+elsewhere+":container-instance/"+cluster+"/"+id('b', n), value); err != nil {
			return 0, err
		}
	}
	for n := range tasks {
		instance := n % instances
		if err := put(taskKey(n, instance), task(n, instance, 3, "RUNNING", fmt.Sprintf("bench-%d", n%starters))); err != nil {
			return 0, err
		}
	}
	batch = append(batch, clientv3.OpPut("ecs/reconciled/"+elsewhere+"/"+region, compared()))
	_, err = etcd.Txn(ctx).Then(batch...).Commit()
	return bytes, err
}

func compared() string {
	now := time.Now().UTC().Format(time.RFC3339Nano)
	return `{"startedAt":"` + now + `","finishedAt":"` + now + `"}`
}

// send puts events into the queue, ten a call, by several senders in turns, so that it has them about as given.
func (w *world) send(events []string) error {
	const senders = 4
	work, ctx := errgroup.WithContext(w.ctx)
	for sender := range senders {
		work.Go(func() error {
			for at := sender * 10; at < len(events); at += senders * 10 {
				if err := w.sendBatch(ctx, events[at:min(at+10, len(events))]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return work.Wait()
}

func (w *world) sendBatch(ctx context.Context, events []string) error {
	entries := make([]types.SendMessageBatchRequestEntry, len(events))
	for i := range events {
		number := strconv.Itoa(i)
		entries[i] = types.SendMessageBatchRequestEntry{Id: &number, MessageBody: &events[i]}
	}
	out, err := w.sqs.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: w.queueURL, Entries: entries})
	if err == nil && len(out.Failed) > 0 {
		return fmt.Errorf("send: %d of %d failed", len(out.Failed), len(events))
	}
	return err
}

// queued is how many messages are in the queue, received or not.
func (w *world) queued() (int, error) {
	out, err := w.sqs.GetQueueAttributes(w.ctx, &sqs.GetQueueAttributesInput{QueueUrl: w.queueURL, AttributeNames: []types.QueueAttributeName{"All"}})
	if err != nil {
		return 0, err
	}
	sum := 0
	for _, name := range []string{"ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"} {
		n, err := strconv.Atoi(out.Attributes[name])
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}
