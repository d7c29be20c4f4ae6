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

// operatorRole is the role of the member account's users.
const operatorRole = "arn:aws:iam::" + memberAccount + ":role/operator"

// operator calls AWS as users of the accounts do, without proxies.
type operator struct {
	places map[string]*placeOperator // by account/region
}

// placeOperator calls AWS in one account and region.
type placeOperator struct {
	ecs      *ecs.Client
	sqs      *sqs.Client
	queueURL *string
}

// newOperator connects to the simulator and configures the queue of each place.
func newOperator(ctx context.Context, address string, places []place) (*operator, error) {
	o := &operator{places: map[string]*placeOperator{}}
	for _, p := range places {
		one, err := newPlaceOperator(ctx, address, p)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p, err)
		}
		o.places[p.String()] = one
	}
	return o, nil
}

func newPlaceOperator(ctx context.Context, address string, p place) (*placeOperator, error) {
	variables := awsVariables(address)
	variables["AWS_REGION"] = p.region
	getenv := func(name string) string { return variables[name] }
	cfg, err := awsconfig.Load(ctx, getenv)
	if err != nil {
		return nil, err
	}
	if p.role != "" {
		cfg = awsconfig.WithRole(cfg, awsconfig.Role{ARN: operatorRole, SessionName: "operator"})
	}
	client, err := awsconfig.ECS(cfg, getenv)
	if err != nil {
		return nil, err
	}
	o := &placeOperator{ecs: client, sqs: awsconfig.SQS(cfg)}
	return o, o.configureQueue(ctx)
}

// in returns the operator of the account and region of an ARN.
func (o *operator) in(arn string) *placeOperator {
	p, _ := placeOf(arn)
	return o.places[p.String()]
}

func (o *placeOperator) configureQueue(ctx context.Context) error {
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
func (o *placeOperator) sendMessages(ctx context.Context, pick float64) error {
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
	_, err := o.in(cluster).ecs.StopTask(ctx, &ecs.StopTaskInput{Cluster: &cluster, Task: &task, Reason: &reason})
	return err
}

// deregister makes a task definition INACTIVE.
func (o *operator) deregister(ctx context.Context, taskDefinition string) error {
	ctx, cancel := context.WithTimeout(ctx, simulatorTimeout)
	defer cancel()
	in := &ecs.DeregisterTaskDefinitionInput{TaskDefinition: &taskDefinition}
	_, err := o.in(taskDefinition).ecs.DeregisterTaskDefinition(ctx, in)
	return err
}
