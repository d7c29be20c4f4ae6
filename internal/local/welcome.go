package local

import "strings"

// welcome returns what a new user needs: the addresses, and what to type next.
func welcome(l listeners, etcd string) string {
	css, ds, ecs := "http://"+l.css.Addr().String(), "http://"+l.ds.Addr().String(), "http://"+l.ecs.Addr().String()
	return strings.NewReplacer("CSS", css, "DS", ds, "SIM", ecs, "ETCD", etcd).Replace(`
Blox is running. Press Ctrl-C to stop it.

  cluster-state-service   CSS/   container instances and tasks
  daemon-scheduler        DS/   environments and deployments
  simulated ECS and SQS   SIM    cluster "default", task definition "agent:1"
  etcd                    ETCD

Next, in another terminal:

  # 1. Create an environment: the task definition to run on every container instance of a cluster.
  curl -s -X POST DS/v1/environments \
    -d '{"name":"web-agent","instanceGroup":{"cluster":"default"},"taskDefinition":"agent:1"}'

  # 2. Deploy it. TOKEN is the "deploymentToken" of the response above.
  curl -s -X POST 'DS/v1/environments/web-agent/deployments?deploymentToken=TOKEN'

  # 3. List the tasks: one on each container instance.
  curl -s 'CSS/v1/tasks?status=running'

  # 4. Stream changes until Ctrl-C. Meanwhile, in a third terminal, add an instance or kill a task:
  curl -sN CSS/v1/stream/tasks
  curl -s -X POST 'SIM/_sim/instances?cluster=default&count=1'         # the new instance gets its task
  curl -s -X POST 'SIM/_sim/tasks/kill?task=ARN_OF_A_TASK&exitCode=1'  # the dead task is replaced

`)
}
