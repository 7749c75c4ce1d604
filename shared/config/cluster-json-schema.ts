/**
 * The JSON Schema of `cluster.yaml`: what editors complete and check with (deploy/clusters/cluster.schema.json is this,
 * committed), and what schema-problems.ts looks names and expected values up in.
 */
import { z } from 'zod';
import { clusterSchema } from './cluster-schema.ts';

/** The parts of JSON Schema that zod makes of our schema. */
export interface SchemaNode {
  readonly type?: string;
  readonly description?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly additionalProperties?: boolean | SchemaNode;
  readonly items?: SchemaNode;
  readonly anyOf?: readonly SchemaNode[];
  readonly oneOf?: readonly SchemaNode[];
}

let made: SchemaNode | undefined;

/** Draft 7, which every YAML editor understands. What is checked between fields is not in it. */
export function clusterJsonSchema(): SchemaNode {
  made ??= z.toJSONSchema(clusterSchema, { io: 'input', target: 'draft-7' }) as SchemaNode;
  return made;
}

export function clusterJsonSchemaText(): string {
  return `${JSON.stringify({ ...clusterJsonSchema(), title: 'Trunkline cluster' }, undefined, 2)}\n`;
}
