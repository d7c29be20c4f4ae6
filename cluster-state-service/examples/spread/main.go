// Command spread keeps a number of tasks running in an ECS cluster, spread over availability zones and container
// instances. It is a small complete scheduler on cluster-state-service, meant to be copied and changed. The README
// explains it.
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
	flag.IntVar(&s.Count, "count", 1, "`number` of tasks")
	flag.StringVar(&s.StartedBy, "name", "spread", "startedBy of the tasks; at most 36 characters")
	flag.DurationVar(&s.StartConfirmTimeout, "start-confirm-timeout", 30*time.Second,
		"`time` after which ECS and cluster-state-service show a started task")
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
	var running sync.WaitGroup
	running.Go(func() { _ = s.Informer.Run(ctx) })
	s.Run(ctx)
	running.Wait()
}
