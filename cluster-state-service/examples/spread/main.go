// Command spread keeps a number of tasks in an ECS cluster, spread over availability zones and container instances. It is
// a small but whole scheduler on cluster-state-service, to be copied and changed; the README beside it explains it.
//
//	spread -css localhost:3000 -cluster arn:aws:ecs:…:cluster/prod -task-definition web:3 -count 10 -name web
package main

import (
	"context"
	"flag"
	"log"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/ecs"

	"github.com/blox/blox/cluster-state-service/informer"
)

func main() {
	s := &Scheduler{Log: log.Printf}
	css := flag.String("css", "localhost:3000", "`host:port` or URL of cluster-state-service")
	flag.StringVar(&s.Cluster, "cluster", "", "`ARN` of the cluster")
	flag.StringVar(&s.TaskDefinition, "task-definition", "", "`family:revision` or ARN")
	flag.IntVar(&s.Count, "count", 1, "how many tasks")
	flag.StringVar(&s.StartedBy, "name", "spread", "what the tasks are known by, as their startedBy; 36 characters at most")
	flag.DurationVar(&s.StartConfirmTimeout, "settle", 30*time.Second, "after which ECS shows, and cluster-state-service too, what was started")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	aws, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		log.Fatal(err)
	}
	s.ECS = ecs.NewFromConfig(aws)
	if s.Informer, err = informer.New(informer.Config{Endpoints: []string{*css}}); err != nil {
		log.Fatal(err)
	}
	var following sync.WaitGroup
	following.Go(func() { _ = s.Informer.Run(ctx) })
	s.Run(ctx)
	following.Wait()
}
