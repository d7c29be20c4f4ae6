// ARNs of ECS, and links to the AWS console.

const CONSOLE_DOMAINS = { // by partition
  aws: "console.aws.amazon.com",
  "aws-cn": "console.amazonaws.cn",
  "aws-us-gov": "console.amazonaws-us-gov.com",
};

// parseARN returns null if the text is not an ARN.
export function parseARN(arn) {
  const [prefix, partition, service, region, account, ...rest] = (arn ?? "").split(":");
  if (prefix !== "arn" || !rest.length) return null;
  const resource = rest.join(":").split("/");
  return { partition, service, region, account, kind: resource[0], id: resource.slice(1).join("/") };
}

// lastPart returns the part of an ARN after the last slash.
export const lastPart = (arn) => (arn ?? "").slice((arn ?? "").lastIndexOf("/") + 1);

// clusterName returns the name in a cluster's ARN.
export const clusterName = (clusterARN) => parseARN(clusterARN)?.id ?? clusterARN ?? "";

// consoleURL returns the console's address of a path below a service; "" for a partition without a known console.
function consoleURL({ partition, region }, path, fragment = "") {
  const domain = CONSOLE_DOMAINS[partition];
  if (!domain || !/^[a-z0-9-]+$/.test(region)) return "";
  return `https://${region}.${domain}/${path}?region=${region}${fragment}`;
}

const encoded = encodeURIComponent;

export function clusterConsole(clusterARN) {
  const arn = parseARN(clusterARN);
  return arn ? consoleURL(arn, `ecs/v2/clusters/${encoded(arn.id)}/services`) : "";
}

export function instanceConsole({ clusterARN, containerInstanceARN }) {
  const arn = parseARN(containerInstanceARN);
  const cluster = encoded(clusterName(clusterARN));
  const id = encoded(lastPart(containerInstanceARN));
  return arn ? consoleURL(arn, `ecs/v2/clusters/${cluster}/infrastructure/container-instances/${id}`) : "";
}

export function taskConsole({ clusterARN, taskARN }) {
  const arn = parseARN(taskARN);
  const cluster = encoded(clusterName(clusterARN));
  return arn ? consoleURL(arn, `ecs/v2/clusters/${cluster}/tasks/${encoded(lastPart(taskARN))}/configuration`) : "";
}

export function taskDefinitionConsole(taskDefinitionARN) {
  const arn = parseARN(taskDefinitionARN);
  const [family, revision] = lastPart(taskDefinitionARN).split(":");
  return arn && revision
    ? consoleURL(arn, `ecs/v2/task-definitions/${encoded(family)}/${encoded(revision)}/containers`) : "";
}

// machineConsole is of the EC2 instance or, for IDs mi-…, of the managed node of Systems Manager.
export function machineConsole({ containerInstanceARN, EC2InstanceID: id }) {
  const arn = parseARN(containerInstanceARN);
  if (!arn || !id) return "";
  if (id.startsWith("mi-")) return consoleURL(arn, `systems-manager/fleet-manager/managed-nodes/${encoded(id)}/general`);
  return consoleURL(arn, "ec2/home", `#InstanceDetails:instanceId=${encoded(id)}`);
}
