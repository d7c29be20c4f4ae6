package bench

import (
	"context"
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Events of about 2 kB, as EventBridge delivers them.
var (
	//go:embed task.json
	taskEventTemplate string
	//go:embed instance.json
	instanceEventTemplate string
)

const (
	// otherAccount is not the simulator's account, so the reconciler leaves its records alone.
	otherAccount        = "999999999999"
	instancesPerCluster = 100
	startedByValues     = 100 // distinct values of startedBy
	operationsPerTxn    = 100 // below etcd's limit of 128
)

func clusterName(n int) string { return "cluster-" + strconv.Itoa(n) }

// taskEvent returns the event of a task on an instance, both given by their numbers.
func taskEvent(task, instance, version int, status, startedBy string) string {
	return strings.NewReplacer(
		"{account}", otherAccount, "{cluster}", clusterName(instance/instancesPerCluster), "{task}", id('a', task),
		"{instance}", id('b', instance), "{status}", status, "{startedBy}", startedBy,
		"{version}", strconv.Itoa(version),
	).Replace(taskEventTemplate)
}

// instanceEvent returns the event of an instance, given by its number.
func instanceEvent(instance int) string {
	return strings.NewReplacer(
		"{account}", otherAccount, "{cluster}", clusterName(instance/instancesPerCluster),
		"{instance}", id('b', instance),
	).Replace(instanceEventTemplate)
}

// lifecycleEvents returns the n events of n/4 tasks, which are numbered from first. The events of all PENDING tasks
// come first, then those of all RUNNING tasks, and so on.
func lifecycleEvents(first, n int) []string {
	var events []string
	for version, status := range []string{"PENDING", "RUNNING", "STOPPING", "STOPPED"} {
		for i := range n / 4 {
			events = append(events, taskEvent(first+i, i%10_000, version+1, status, "bench"))
		}
	}
	return events
}

func id(kind rune, n int) string { return fmt.Sprintf("%c%031d", kind, n) }

func taskKey(task, instance int) string {
	return recordKey("task", clusterName(instance/instancesPerCluster), id('a', task))
}

func instanceKey(instance int) string {
	return recordKey("instance", clusterName(instance/instancesPerCluster), id('b', instance))
}

// recordKey returns the key of a record in etcd.
func recordKey(kind, cluster, id string) string {
	resource := map[string]string{"task": "task", "instance": "container-instance"}[kind]
	return fmt.Sprintf("ecs/%s/%s/arn:aws:ecs:%s:%s:%s/%s/%s", kind, cluster, region, otherAccount, resource, cluster, id)
}

// seed writes tasks and instances to etcd as cluster-state-service does, and marks them as reconciled with ECS. It
// returns the bytes of keys and values.
func seed(ctx context.Context, etcd *clientv3.Client, tasks, instances int) (bytes int, err error) {
	var batch []clientv3.Op
	put := func(key, value string) error {
		batch = append(batch, clientv3.OpPut(key, value))
		bytes += len(key) + len(value)
		if len(batch) < operationsPerTxn {
			return nil
		}
		_, err := etcd.Txn(ctx).Then(batch...).Commit()
		batch = nil
		return err
	}
	for n := range instances {
		if err := put(instanceKey(n), instanceEvent(n)); err != nil {
			return 0, err
		}
	}
	for n := range tasks {
		instance := n % instances
		startedBy := fmt.Sprintf("bench-%d", n%startedByValues)
		if err := put(taskKey(n, instance), taskEvent(n, instance, 3, "RUNNING", startedBy)); err != nil {
			return 0, err
		}
	}
	reconciled := "ecs/reconciled/" + otherAccount + "/" + region
	for n := range (instances + instancesPerCluster - 1) / instancesPerCluster {
		cluster := clusterName(n)
		arn := fmt.Sprintf("arn:aws:ecs:%s:%s:cluster/%s", region, otherAccount, cluster)
		if err := put(reconciled+"/"+cluster, reconciledNow(arn)); err != nil {
			return 0, err
		}
	}
	batch = append(batch, clientv3.OpPut(reconciled, reconciledNow("")))
	_, err = etcd.Txn(ctx).Then(batch...).Commit()
	return bytes, err
}

// reconciledNow is the record of a reconciliation, of a cluster or of all, that ends now.
func reconciledNow(clusterARN string) string {
	now := time.Now().UTC().Format(time.RFC3339Nano)
	return fmt.Sprintf(`{"cluster":%q,"startedAt":%q,"finishedAt":%q}`, clusterARN, now, now)
}
