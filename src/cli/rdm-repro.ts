// rdm-repro: a whole experiment, many networks with many seeds, from a plan.
import { Option } from 'commander'
import { createProgram, decimalNumber, parsedBy, runProgram, wholeNumber } from './command.js'
import { addMachineOptions } from './machine.js'
import { addQueueOptions, addRedisOption } from './queue.js'
import { engines, runPlan } from './repro/run.js'
import { showStatus, withdraw } from './repro/status.js'

export async function main(argv: string[]): Promise<void> {
  const program = createProgram('rdm-repro', 'Train every network of a plan with each of its seeds.', [
    'rdm-repro graphs/plans/small.yaml --data cifar-10-batches-bin',
    'rdm-repro graphs/plans/table1.yaml --data cifar-10-batches-bin --out runs/table1 --ep cuda --jobs 5',
    'rdm-repro graphs/plans/table1.yaml --data cifar-10-batches-bin --out runs/table1 --engine bullmq --redis redis://host:6379 --store /shared/store',
    'rdm-repro status runs/table1',
    'rdm-repro status runs/table1 --watch',
    'rdm-repro status runs/table1 --watch --redis redis://host:6379',
  ])
    .argument('<plan>', 'a YAML file: which networks, how they are trained, and with which seeds')
    .usage('<plan> --data <folder> [options]')
    // What follows `status` is meant for it, --json too.
    .enablePositionalOptions()
    .option('--data <folder>', 'folder of the data set, in the CIFAR-10 or CIFAR-100 binary format')
    .option(
      '--out <folder>',
      "where the runs' folders are made, NAME/seed-N (default: runs/ and the plan's name); what is done there is kept",
    )
    .option(
      '--jobs <count>',
      'how many runs at a time (default: 5 with --ep cuda, else 1)',
      parsedBy(wholeNumber(1, 1024)),
    )
    .addOption(
      new Option('--engine <name>', 'who trains: this process, or the rdm-workers of a queue')
        .choices(engines)
        .default('embedded'),
    )
    .option('--json', 'print one JSON object a line: steps, epochs and ends of all runs, a summary last')
  addQueueOptions(program, 'with --engine bullmq')
  addMachineOptions(program).action(runPlan)
  const status = createProgram('status', 'Print where every run of an experiment stands.', [
    'rdm-repro status runs/small --watch',
  ])
    .argument('<folder>', 'what rdm-repro writes to')
    .option(
      '--watch [seconds]',
      'look again and again until all are done (default: every 5 seconds)',
      parsedBy(decimalNumber(0.01, 86_400)),
    )
    .option('--json', 'one JSON object a line')
  addRedisOption(status, 'jobs in a queue').action(showStatus)
  program.addCommand(status)
  const withdrawing = createProgram('withdraw', 'Take jobs that no worker has begun back out of the queue.', [
    'rdm-repro withdraw runs/table1 --redis redis://host:6379',
  ]).argument('<folder>', 'what rdm-repro writes to')
  program.addCommand(addRedisOption(withdrawing).action(withdraw))
  await runProgram(program, argv)
}
