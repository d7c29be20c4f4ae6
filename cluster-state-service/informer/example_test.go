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

// A scheduler that keeps ten tasks of a task definition in a cluster, each new one on the instance that has the fewest. It
// runs against a CSS on this machine until it is interrupted. What it lacks: more than one change a look, back-off, and a
// way to know of what it has started before the CSS does; ../examples/spread shows how that is done.
func Example() {
	const cluster, definition, want = "arn:aws:ecs:eu-west-1:123456789012:cluster/prod", "web:3", 10
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	aws, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		log.Fatal(err)
	}
	m, err := informer.New(informer.Config{Endpoints: []string{"localhost:3000"}})
	if err != nil {
		log.Fatal(err)
	}
	look := make(chan struct{}, 1) // however much changes, one look is enough
	defer m.Subscribe(func(c informer.Change) {
		select {
		case look <- struct{}{}:
		default:
		}
	})()
	go func() { _ = m.Run(ctx) }()
	for {
		select {
		case <-look:
		case <-ctx.Done():
			return
		}
		tasks := map[string]int{} // by container instance
		live := 0
		for _, t := range m.Tasks(cluster) {
			if *t.Entity.LastStatus != "STOPPED" && t.Entity.StartedBy == "example" {
				tasks[*t.Entity.ContainerInstanceARN]++
				live++
			}
		}
		emptiest := ""
		for _, i := range m.Instances(cluster) {
			arn := *i.Entity.ContainerInstanceARN
			if *i.Entity.Status == "ACTIVE" && *i.Entity.AgentConnected && (emptiest == "" || tasks[arn] < tasks[emptiest]) {
				emptiest = arn
			}
		}
		if live < want && emptiest != "" && m.Synced() {
			by := "example"
			cluster, definition := cluster, definition
			_, err := ecs.NewFromConfig(aws).StartTask(ctx, &ecs.StartTaskInput{
				Cluster: &cluster, TaskDefinition: &definition, ContainerInstances: []string{emptiest}, StartedBy: &by,
			})
			log.Print("start on ", emptiest, ": ", err)
		}
	}
}
