package informer_test

import (
	"context"
	"log"
	"os"
	"os/signal"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/ecs"

	"github.com/blox/blox/cluster-state-service/informer"
)

// A scheduler that keeps ten tasks of a task definition in a cluster. It starts each new task on the instance with
// the fewest, against a CSS on this machine, until it is interrupted. It lacks back-off, batches, and a memory of
// tasks that the CSS does not show yet; ../examples/spread has all three.
func Example() {
	const cluster, definition, want = "arn:aws:ecs:eu-west-1:123456789012:cluster/prod", "web:3", 10
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	aws, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		log.Fatal(err)
	}
	clusters, err := informer.New(informer.Config{Endpoints: []string{"localhost:3000"}})
	if err != nil {
		log.Fatal(err)
	}
	wake := make(chan struct{}, 1) // coalesces changes
	defer clusters.Subscribe(func(c informer.Change) {
		select {
		case wake <- struct{}{}:
		default:
		}
	})()
	go func() { _ = clusters.Run(ctx) }()
	for {
		select {
		case <-wake:
		case <-ctx.Done():
			return
		}
		tasks := map[string]int{} // by container instance
		live := 0
		for _, t := range clusters.Tasks(cluster) {
			if *t.Entity.LastStatus != "STOPPED" && t.Entity.StartedBy == "example" {
				tasks[*t.Entity.ContainerInstanceARN]++
				live++
			}
		}
		emptiest := ""
		for _, i := range clusters.Instances(cluster) {
			arn := *i.Entity.ContainerInstanceARN
			if *i.Entity.Status == "ACTIVE" && *i.Entity.AgentConnected && (emptiest == "" || tasks[arn] < tasks[emptiest]) {
				emptiest = arn
			}
		}
		if live < want && emptiest != "" && clusters.Synced() {
			by := "example"
			cluster, definition := cluster, definition
			_, err := ecs.NewFromConfig(aws).StartTask(ctx, &ecs.StartTaskInput{
				Cluster: &cluster, TaskDefinition: &definition, ContainerInstances: []string{emptiest}, StartedBy: &by,
			})
			log.Print("start on ", emptiest, ": ", err)
		}
	}
}
