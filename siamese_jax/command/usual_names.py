"""Names that other programs give to what is a flag here."""

_RATE = "--optimizer.rate, or --optimizer.layers.LAYER.learning_rate for the paper's optimizer"
_DEVICE = "JAX chooses the device: set JAX_PLATFORMS=cpu or CUDA_VISIBLE_DEVICES=0 in the environment"
_DATA = "--data.path for own pictures, --archives for published archives, or --data_dir for prepared data"
_RESUME = "the same command with the --workdir of a run resumes it"
_START = "--start_from to train a network further, or --checkpoint with --mode=evaluate"
_WORKERS = "the images are in memory, so no processes read them"

USUAL = {
    "lr base_lr init_lr initial_lr learning_rate eta": _RATE,
    "epochs epoch num_epochs n_epochs max_epoch nb_epochs num_train_epochs": "--max_epochs",
    "batch bs b batchsize train_batch_size per_device_train_batch_size": "--batch_size",
    "gpu gpus gpu_id gpu_ids cuda no_cuda device devices accelerator cpu tpu": _DEVICE,
    "name exp exp_name experiment_name run run_name task": "--experiment for what is trained, --workdir for its folder",
    "config cfg conf config_file recipe": "--experiment for a registered one, or --flagfile",
    "out outdir out_dir output_dir save save_dir save_path logdir model_dir ckpt_dir": "--workdir",
    "data datadir data_path data_root root dataset_path train_dir image_dir images folder input input_dir": _DATA,
    "dataset": "--experiment; --list shows the data of each",
    "model arch net network backbone encoder": "--network.tower",
    "workers num_workers n_workers threads nproc n_jobs": _WORKERS,
    "optimizer optim opt": "--optimizer.name",
    "wd l2 weight_decay": "--optimizer.weight_decay, or --optimizer.layers.LAYER.l2 for the paper's optimizer",
    "momentum": "--optimizer.layers.LAYER.momentum",
    "resume continue restart load resume_from": _RESUME,
    "ckpt weights pretrained finetune fine_tune init_from load_from": _START,
    "img_size image_size imsize imgsz input_size resolution size": "--data.side",
    "way ways n_ways num_ways nway": "--evaluation.n_way",
    "shot shots n_shot n_shots num_shots kshot": "--evaluation.k_shot",
    "fp16 bf16 amp half precision mixed_precision dtype": "--compute_dtype=bfloat16",
    "random_seed manual_seed rng rng_seed": "--seed",
    "eval evaluate eval_only do_eval test test_only": "--mode=evaluate",
    "early_stopping early_stop": "--patience",
    "log_every log_interval log_freq print_freq": "--log_steps",
    "grad_clip clip_grad max_norm clip": "--optimizer.clip",
    "warmup warmup_steps warmup_epochs": "--optimizer.warmup",
    "scheduler sched lr_scheduler lr_schedule": "--optimizer.schedule",
    "ema ema_decay": "--optimizer.average",
    "loss loss_fn criterion": "--loss.name",
    "margin": "--loss.margin",
    "aug augment augmentation": "--distort.copies",
    "dim embed_dim embedding_dim embedding_size feature_dim": "--network.units",
    "dropout": "there is none; --optimizer.weight_decay and --distort.copies regularise",
}  # fmt: skip
"""What to use here for each name."""


def elsewhere(name: str) -> str:
    """Return a sentence that says what to use for a name of another program; "" if the name is not a usual one."""
    wanted = name.lower().replace("-", "_")
    to = next((to for names, to in USUAL.items() if wanted in names.split()), "")
    if not to.startswith("--"):
        return f"{to}." if to else ""
    return f"use {to}." if " " in to else f"did you mean {to}?"
