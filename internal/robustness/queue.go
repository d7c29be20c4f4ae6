package robustness

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/blox/blox/internal/awsconfig"
)

const (
	queueName           = "blox_queue"
	streamName          = "blox_stream" // with --kinesis
	deadLetterQueueName = "blox_dead_letters"
	visibilityTimeout   = "5" // seconds; short, so that messages of a killed service soon become visible again
	// maxReceives is high, so that no fault moves a valid message to the dead letters.
	maxReceives = 6
)

// operator calls AWS as a user of the account does, without proxies.
type operator struct {
	ecs      *ecs.Client
	sqs      *sqs.Client
	queueURL *string
}

// newOperator connects to the simulator and configures the queue.
func newOperator(ctx context.Context, address string) (*operator, error) {
	variables := awsVariables(address)
	getenv := func(name string) string { return variables[name] }
	cfg, err := awsconfig.Load(ctx, getenv)
	if err != nil {
		return nil, err
	}
	client, err := awsconfig.ECS(cfg, getenv)
	if err != nil {
		return nil, err
	}
	o := &operator{ecs: client, sqs: awsconfig.SQS(cfg)}
	return o, o.configureQueue(ctx)
}

func (o *operator) configureQueue(ctx context.Context) error {
	queue, err := o.sqs.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: aws.String(queueName)})
	if err != nil {
		return fmt.Errorf("find the queue: %w", err)
	}
	o.queueURL = queue.QueueUrl
	dead, err := o.sqs.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String(deadLetterQueueName)})
	if err != nil {
		return fmt.Errorf("create the queue of dead letters: %w", err)
	}
	attributes, err := o.sqs.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: dead.QueueUrl, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameQueueArn},
	})
	if err != nil {
		return fmt.Errorf("describe the queue of dead letters: %w", err)
	}
	policy := fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":%d}`,
		attributes.Attributes["QueueArn"], maxReceives)
	_, err = o.sqs.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{
		QueueUrl:   o.queueURL,
		Attributes: map[string]string{"VisibilityTimeout": visibilityTimeout, "RedrivePolicy": policy},
	})
	if err != nil {
		return fmt.Errorf("configure the queue: %w", err)
	}
	return nil
}

// malformedMessages are events that nothing can decode. The redrive policy moves them to the dead letters.
var malformedMessages = []string{
	"hello",
	`{"source":"aws.ecs"`,
	`{"source":"aws.ecs","detail-type":"ECS Task State Change","detail":[]}`,
	`{"source":"aws.ecs","detail-type":"ECS Task State Change","detail":{"taskArn":7}}`,
	`{"source":"aws.ecs","detail-type":"ECS Task State Change","detail":{"taskArn":"not an ARN","version":1}}`,
	`{"source":"aws.ecs","detail-type":"ECS Container Instance State Change","detail":{"version":"one"}}`,
	strings.Repeat("x", 200<<10),
}

// foreignMessages are valid events that do not concern Blox. It deletes them.
var foreignMessages = []string{
	`{"source":"aws.ec2","detail-type":"EC2 Instance State-change Notification","detail":{"state":"running"}}`,
	`{"source":"aws.ecs","detail-type":"ECS Service Action","detail":{"eventName":"SERVICE_STEADY_STATE"}}`,
	`{"source":"someone.else","detail-type":"ECS Task State Change","detail":{}}`,
}

// sendMessages sends malformed and foreign messages to the queue of events.
func (o *operator) sendMessages(ctx context.Context, pick float64) error {
	bodies := append(slices.Clone(foreignMessages), malformedMessages[int(pick*float64(len(malformedMessages)))])
	for n := range bodies {
		ctx, cancel := context.WithTimeout(ctx, simulatorTimeout)
		_, err := o.sqs.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: o.queueURL, MessageBody: &bodies[n]})
		cancel()
		if err != nil {
			return fmt.Errorf("send a foreign message: %w", err)
		}
	}
	return nil
}

// stopTask stops a task as a user does by hand.
func (o *operator) stopTask(ctx context.Context, cluster, task string) error {
	ctx, cancel := context.WithTimeout(ctx, simulatorTimeout)
	defer cancel()
	reason := "stopped by hand"
	_, err := o.ecs.StopTask(ctx, &ecs.StopTaskInput{Cluster: &cluster, Task: &task, Reason: &reason})
	return err
}

// deregister makes a task definition INACTIVE.
func (o *operator) deregister(ctx context.Context, taskDefinition string) error {
	ctx, cancel := context.WithTimeout(ctx, simulatorTimeout)
	defer cancel()
	_, err := o.ecs.DeregisterTaskDefinition(ctx, &ecs.DeregisterTaskDefinitionInput{TaskDefinition: &taskDefinition})
	return err
}
