package main

import (
	"strings"
)

// welcome is what a newcomer reads: what runs, and what to type next.
func welcome(a addresses, etcd string) string {
	css, ds, ecs := "http://"+a.css.Addr().String(), "http://"+a.ds.Addr().String(), "http://"+a.ecs.Addr().String()
	return strings.NewReplacer("CSS", css, "DS", ds, "SIM", ecs, "ETCD", etcd).Replace(`
Blox runs. Ctrl-C stops it.

  cluster-state-service   CSS/v1   what is in the clusters
  daemon-scheduler        DS/v1   environments and deployments
  simulated ECS and SQS   SIM      cluster "default", task definition "agent:1"
  etcd                    ETCD

Next, in another terminal:

  # 1. An environment: the task definition that every container instance of a cluster shall run.
  curl -s -X POST DS/v1/environments \
    -d '{"name":"web-agent","instanceGroup":{"cluster":"default"},"taskDefinition":"agent:1"}'

  # 2. A deployment puts it into effect. The token is the "deploymentToken" of the answer above.
  curl -s -X POST 'DS/v1/environments/web-agent/deployments?deploymentToken=TOKEN'

  # 3. One task on each container instance.
  curl -s 'CSS/v1/tasks?status=running'

  # 4. Watch what happens from now on (it goes on until Ctrl-C), and meanwhile, in a third terminal:
  curl -sN CSS/v1/stream/tasks
  curl -s -X POST 'SIM/_sim/instances?cluster=default&count=1'      # a new instance gets its task
  curl -s -X POST 'SIM/_sim/tasks/kill?task=ARN_OF_A_TASK&exitCode=1'  # a dead task is replaced

`)
}
